"""What goes over the wire verifies by every means that is promised, and its bytes are those of `JSON.stringify`."""

import base64
import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
import standardwebhooks
import svix
from hypothesis import given, settings
from hypothesis import strategies as st

from temula.outbound.webhooks.model import envelope, new_secret, signed_headers

BODIES = st.text(max_size=200).map(lambda text: msgspec.json.encode({"text": text}))
SECRETS = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())
SCRIPT = """
const read = require("readline").createInterface({ input: process.stdin });
read.on("line", (line) => {
  const body = Buffer.from(line, "base64").toString("utf8");
  console.log(Buffer.from(JSON.stringify(JSON.parse(body)), "utf8").toString("base64"));
});
"""


def test_a_known_message_has_its_known_signatures() -> None:
    """Fixed bytes, computed by other means (openssl): whoever writes a verifier can start from them."""
    body = b'{"event_id":"msg_01","event_type":"event.published"}'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers("msg_01", body, datetime(2026, 11, 23, 10, 15, tzinfo=UTC), [secret])
    assert headers["webhook-timestamp"] == "1795428900"
    assert headers["X-Temula-Signature"] == "40cbb97b1fa97b313b1d7cd3e57776a1641f1590ddd002ccd3435b9dda77d172"
    assert headers["webhook-signature"] == "v1,zcN8pA77XXpW7LjQdObefX/+HlWMQqYchuTuaesOHjI="


@given(BODIES, SECRETS)
def test_every_library_verifies_us(body: bytes, secret: str) -> None:
    """Any body under any secret: ten lines of standard library, `standardwebhooks`, and `svix`."""
    headers = signed_headers("msg_x", body, datetime.now(UTC), [secret])
    ours = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Temula-Signature"] == ours
    assert "X-Temula-Signature-Previous" not in headers
    standardwebhooks.Webhook(secret).verify(body, headers)
    svix.Webhook(secret).verify(body, headers)


@given(BODIES, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_does_not_verify(body: bytes, at: int, change: int) -> None:
    """Whoever changes one byte on the way is found out."""
    secret = new_secret()
    headers = signed_headers("msg_x", body, datetime.now(UTC), [secret])
    at %= len(body)
    changed = body[:at] + bytes([body[at] ^ change]) + body[at + 1 :]
    with pytest.raises((standardwebhooks.WebhookVerificationError, UnicodeDecodeError)):
        standardwebhooks.Webhook(secret).verify(changed, headers)


@given(BODIES)
def test_while_a_secret_is_rotated_both_verify(body: bytes) -> None:
    """The new secret signs first; who still has the old one finds it behind, and in a header of its own."""
    new, old = new_secret(), new_secret()
    headers = signed_headers("msg_x", body, datetime.now(UTC), [new, old])
    for secret, name in ((new, "X-Temula-Signature"), (old, "X-Temula-Signature-Previous")):
        standardwebhooks.Webhook(secret).verify(body, headers)
        svix.Webhook(secret).verify(body, headers)
        assert headers[name] == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new_secret()).verify(body, headers)


@pytest.fixture(scope="module")
def node() -> Iterator["subprocess.Popen[bytes]"]:
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js on this machine")
    with subprocess.Popen(["node", "-e", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.terminate()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), inner),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), VALUES, max_size=5), st.none() | st.text())
def test_the_bytes_are_those_of_javascript(
    node: "subprocess.Popen[bytes]", data: dict[str, object], team: str | None
) -> None:
    """Compact UTF-8, byte-identical to `JSON.stringify(JSON.parse(body))`, so that who parses first verifies too."""
    at = datetime(2026, 11, 23, 10, 15, 0, 123456, tzinfo=UTC)
    body = envelope("msg_x", "check_in.completed", at, "org_x", team, msgspec.json.encode(data))
    assert node.stdin is not None
    assert node.stdout is not None
    node.stdin.write(base64.b64encode(body) + b"\n")
    node.stdin.flush()
    assert base64.b64decode(node.stdout.readline()) == body
    assert body.startswith(
        b'{"event_id":"msg_x","event_type":"check_in.completed","timestamp":"2026-11-23T10:15:00.123Z",'
    )
    assert list(msgspec.json.decode(body)) == [
        "event_id", "event_type", "timestamp", "organization_id", "team_id", "data",
    ]  # fmt: skip
