"""The published shapes of messages, as a receiver has them, and whether a message fits its own."""

import json
from pathlib import Path
from typing import Any

import jsonschema

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "messages"
PUBLISHED = {path.name.removesuffix(".v1.json"): json.loads(path.read_bytes()) for path in FOLDER.glob("*.v1.json")}


def check(message: dict[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` for a message that is not as its type is published."""
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(message, PUBLISHED[message["event_type"]], format_checker=checker)
