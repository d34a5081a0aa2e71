"""A connection whose callback address and signing secret the test knows, and Stripe's way of signing."""

import json
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import stripe

from temula.domain.connections import service as connections
from temula.domain.organizations.model import Mode
from temula.inbound.kit.store import Callback
from temula.kernel.sql import Statement, columns
from tests.harness.api import Answer
from tests.harness.house import Running, Tenant

STORED = Statement(f"SELECT {columns(Callback)} FROM callbacks WHERE connection_id = $1 ORDER BY id")


class Callee(NamedTuple):
    """One connection's door, as its provider sees it."""

    temula: Running
    tenant: Tenant
    connection_id: str
    path: str
    secret: str

    async def call(self, body: bytes, **changed: Any) -> Answer:
        """Send a callback, signed now with the connection's secret unless `signature` or `path` say otherwise."""
        signature = changed.get("signature") or self.sign(body)
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json", **changed.get("headers", {})}
        api = self.temula.api(None)
        return await api.call("POST", changed.get("path", f"/{self.path}"), raw=body, headers=headers)

    def sign(self, body: bytes, secret: str | None = None) -> str:
        now = int(self.temula.house.database.clock.now().timestamp())
        sign = stripe.WebhookSignature._compute_signature
        return f"t={now},v1={sign(f'{now}.' + body.decode('latin-1'), secret or self.secret)}"

    async def stored(self) -> list[Callback]:
        """What is in the inbox of this connection."""
        async with self.temula.house.database.crossing("a test looks at the inbox") as uow:
            return await uow.rows(Callback, STORED, self.connection_id)


def event(kind: str = "checkout.session.expired", **changed: Any) -> bytes:
    """An event about a Checkout Session that nobody knows."""
    session = {
        "id": f"cs_test_{uuid4().hex}", "object": "checkout.session", "status": "expired", "payment_status": "unpaid",
        "amount_total": 5000, "currency": "myr", "client_reference_id": "pat_01kb0m0000e00r0000000000a2",
    }  # fmt: skip
    body = {"id": f"evt_{uuid4().hex}", "object": "event", "type": kind, "livemode": False, "data": {"object": session}}
    return json.dumps({**body, **changed}).encode()


@pytest.fixture
async def callee(temula: Running, tenant: Tenant) -> Callee:
    """A connection made by hand, beside the one that the tenant has."""
    token, secret = connections.new_token(), f"whsec_{uuid4().hex}"
    async with temula.house.database.unit(tenant.actor) as uow:
        made = await connections.connect(
            uow, temula.house.ring, kind="payments", provider="stripe", mode=Mode.SANDBOX, token=token, hint="test",
            credentials={"secret_key": tenant.stripe_key, "webhook_secret": secret},
        )  # fmt: skip
    return Callee(temula, tenant, made.id, f"/in/payments/stripe/sandbox/{token}", secret)
