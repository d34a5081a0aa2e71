"""The vectors against code that others wrote, and against what Temula itself signs."""

import base64
import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from temula.outbound.webhooks.model import signed_headers
from tests.clients.programs import need, run
from tools import vectors
from tools.vectors import BODIES, BODY, FILE, MESSAGE, OTHER, SECRET, Vector

HERE = Path(__file__).parent
PACKAGES = ("standardwebhooks@1.1.1", "svix@2.5.0")


def test_the_file_is_fresh() -> None:
    """The file equals what its generator makes; `python -m tools.vectors` writes it."""
    assert FILE.read_bytes() == vectors.document()


@pytest.mark.parametrize("body", [BODY, *BODIES.values()], ids=range(len(BODIES) + 1))
@pytest.mark.parametrize("secrets", [(SECRET,), (SECRET, OTHER)], ids=["one", "rotating"])
def test_temula_signs_as_the_vectors_are_signed(body: bytes, secrets: tuple[str, ...]) -> None:
    """Two programs that share no code agree on every header of a signature."""
    at = 1_795_428_900
    headers = signed_headers(MESSAGE, body, datetime.fromtimestamp(at, UTC), secrets)
    assert headers["webhook-id"] == MESSAGE
    assert headers["webhook-timestamp"] == str(at)
    assert headers["webhook-signature"] == " ".join(vectors.standard(one, at, body) for one in secrets)
    plain = [vectors.plain(one, body) for one in secrets]
    assert [headers["X-Temula-Signature"], headers.get("X-Temula-Signature-Previous")] == [*plain, None][:2]


def live() -> list[Vector]:
    """The vectors of Standard Webhooks signed now, which libraries without a clock of their own can judge.

    Those at the edge of the tolerance are left out: they would be over it a second later.
    """
    at = int(time.time())
    edge = "five minutes old", "five minutes early", "more than five minutes early"
    found = [one for one in vectors.vectors(at) if one.style == "standard" and not one.lenient]
    return [one for one in found if one.name.removeprefix("standard: ") not in edge]


@pytest.mark.parametrize("library", [standardwebhooks, svix.webhooks], ids=["standardwebhooks", "svix"])
def test_libraries_from_pypi_agree(library: Any) -> None:
    """They pass what is genuine and nothing else."""

    def fits(vector: Vector, secret: str) -> bool:
        try:
            library.Webhook(secret).verify(vector.body, vector.headers)
        except json.JSONDecodeError:
            return True  # it was verified, and then it was no JSON
        except (library.WebhookVerificationError, ValueError):
            return False
        return True

    judged = {one.name: any(fits(one, secret) for secret in one.secrets) for one in live()}
    assert [name for name, good in judged.items() if good] == [one.name for one in live() if one.expect == "ok"]


def test_libraries_from_npm_agree(tmp_path: Path) -> None:
    """The same in JavaScript; where npm's registry cannot be reached this is skipped and says so."""
    need("npm")
    install = ["npm", "install", "--prefix", tmp_path, "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    try:
        done = subprocess.run(install, timeout=60, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm install took over a minute: the packages from npm were NOT run")
    if done.returncode:
        pytest.skip(f"npm install failed: the packages from npm were NOT run: {done.stderr[-300:]}")
    asked = [_shown(one) for one in live()]
    passed = json.loads(run("node", HERE / "libraries.mjs", tmp_path, given=json.dumps(asked)))
    good = [one.name for one in live() if one.expect == "ok"]
    assert passed == {"standardwebhooks": good, "svix": good}


def _shown(vector: Vector) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in vector.headers.items()}
    return vector._asdict() | {"body": base64.b64encode(vector.body).decode(), "headers": headers}
