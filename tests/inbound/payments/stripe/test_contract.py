"""The Stripe connector keeps what every connector promises."""

from datetime import datetime
from pathlib import Path
from typing import ClassVar

import stripe

from temula.inbound.kit.registry import Callbacks
from temula.inbound.payments.stripe import callbacks
from tests.contract.callbacks import CallbacksContract
from tests.contract.charges import ChargesContract
from tests.contract.refunds import RefundsContract

COMPLETED = (Path(__file__).parent / "callbacks" / "checkout.session.completed.json").read_bytes()


class TestCharges(ChargesContract):
    pass


class TestRefunds(RefundsContract):
    pass


class TestCallbacks(CallbacksContract):
    callbacks: ClassVar[Callbacks] = callbacks
    body = COMPLETED
    secret, other = "whsec_" + "a" * 32, "whsec_" + "b" * 32
    signature = "stripe-signature"

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        sign = stripe.WebhookSignature.generate_signature_header
        return {"stripe-signature": sign(body.decode(), secret, int(at.timestamp()))}

    def credentials(self, *secrets: str) -> dict[str, str]:
        return {"secret_key": "sk_test_x", "webhook_secret": ", ".join(secrets)}
