"""How a receiver makes sure that a message is Temula's and unchanged. This file stands alone: copy what you need.

Each function below is enough by itself. Hand it the body as it came over the wire, before anything parses it, and the
headers under lower-case names; the secret is the one that was shown when the endpoint was added.
"""

import hashlib
import hmac
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError


def signed_by_temula(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check `X-Temula-Signature` by the standard library alone."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    # While a secret is being rotated the one before signs too, so either may be the one we hold.
    given = (headers.get("x-temula-signature", ""), headers.get("x-temula-signature-previous", ""))
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)


def signed_by_standard_webhooks(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check the Standard Webhooks headers by the package `standardwebhooks`, which refuses old messages as well."""
    try:
        Webhook(secret).verify(body, dict(headers))
    except (WebhookVerificationError, ValueError):  # ValueError: headers or a body that cannot even be read
        return False
    return True
