"""Identifiers that look like Stripe's, and the account that a key stands for; keys themselves are not kept."""

import hashlib
import secrets
import string

from emulators.payments.stripe.errors import unauthorized

LETTERS = string.ascii_letters + string.digits
LENGTHS = {"cs_test_": 58, "req_": 14, "whsec_": 32, "cus_": 14, "prod_": 14}


def new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(LETTERS) for _ in range(LENGTHS.get(prefix, 24)))


def account_id(key: str) -> str:
    return "acct_" + hashlib.sha256(key.encode()).hexdigest()[:16]


def account_for(authorization: str) -> str:
    """The account of a test key; see https://docs.stripe.com/keys."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not key.startswith(("sk_test_", "rk_test_")) or len(key) <= len("sk_test_"):
        raise unauthorized(f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:] if len(key) > 16 else ''}")
    return account_id(key)
