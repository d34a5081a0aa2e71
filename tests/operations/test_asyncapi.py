"""The AsyncAPI document is whole: each reference leads somewhere, each example fits its schema."""

import json
import re
from typing import Any

import jsonschema

from temula.operations import asyncapi


def followed(document: Any, reference: str) -> Any:
    inside = document
    for step in reference.removeprefix("#/").split("/"):
        inside = inside[step]
    return inside


def test_every_reference_leads_somewhere() -> None:
    """Also through the channel to the message."""
    document = asyncapi.document()
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))
    assert len(references) > 40
    for reference in references:
        assert isinstance(followed(document, reference), dict), reference


def test_every_example_fits() -> None:
    """Each message's example is as its payload says."""
    document = asyncapi.document()
    for message in document["components"]["messages"].values():
        schema = followed(document, message["payload"]["$ref"])
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in message["examples"]:
            jsonschema.validate(example["payload"], schema)
