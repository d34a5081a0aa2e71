"""What goes over the wire verifies by every means that is promised."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import msgspec
import pytest
import standardwebhooks
import svix
from hypothesis import given
from hypothesis import strategies as st

from temula.outbound.webhooks.model import new_secret, signed_headers

BODIES = st.text(max_size=200).map(lambda text: msgspec.json.encode({"text": text}))
SECRETS = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())


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
