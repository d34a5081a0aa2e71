"""A shop: a tenant with an event on sale, its webhooks, and what its provider holds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.harness.house import Running, Sale, Tenant, until
from tests.harness.receiver import Receiver
from tests.harness.schemas import check


@pytest.fixture(autouse=True)
def published_shapes(hooks: Receiver) -> Iterator[None]:
    """Whatever arrives while money moves is as its type is published."""
    yield
    for arrival in hooks.arrivals:
        check(arrival.message)


class Shop(NamedTuple):
    """A tenant that sells, seen from outside: its API, its webhooks, and Stripe's own ledger."""

    temula: Running
    tenant: Tenant
    sale: Sale
    hooks: Receiver

    async def register(self, *types: int, key: str | None = None) -> dict[str, Any]:
        """Register one attendee for each number of a ticket type."""
        seats = [
            {"ticket_type_id": self.sale.types[kind]["id"], "name": f"Guest {place}"}
            for place, kind in enumerate(types or (0,))
        ]
        order = {"event_id": self.sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}}
        return await self.tenant.api.post("/registrations", {**order, "attendees": seats}, key=key)

    async def confirmed(self, *types: int) -> dict[str, Any]:
        """Register, pay, and wait until it is confirmed."""
        made = await self.register(*types)
        await self.temula.pay(made)
        return await self.becomes(made, "confirmed")

    async def look(self, registration: dict[str, Any]) -> dict[str, Any]:
        return await self.tenant.api.get(f"/registrations/{registration['id']}")

    async def becomes(self, registration: dict[str, Any], state: str) -> dict[str, Any]:
        """Wait until the registration is in a state."""

        async def there() -> dict[str, Any] | None:
            seen = await self.look(registration)
            return seen if seen["state"] == state else None

        return await until(there)

    async def payment(self, registration: dict[str, Any]) -> dict[str, Any]:
        """The payment with its attempts and transactions."""
        return await self.tenant.api.get(f"/payments/{registration['payment']['id']}")

    async def refund(self, registration: dict[str, Any], *, key: str | None = None, **asked: Any) -> dict[str, Any]:
        return await self.tenant.api.post("/refunds", {"registration_id": registration["id"], **asked}, key=key)

    async def told(self, kind: str, registration: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
        """Wait until the webhook receiver has heard of a registration so often; give the data of each."""

        async def heard() -> list[dict[str, Any]]:
            of_it = [one.message["data"] for one in self.hooks.of(kind)]
            found = [data for data in of_it if data.get("registration_id") == registration["id"]]
            return found if len(found) >= count else []

        found = await until(heard)
        assert len(found) == count, found
        return found

    async def captured(self) -> list[int]:
        """What Stripe took from buyers, payment by payment."""
        charges = await self.temula.stripe(self.tenant).v1.charges.list_async({"limit": 100})
        return sorted(charge.amount for charge in charges.data if charge.paid)

    async def given_back(self) -> list[int]:
        """What Stripe gave back, refund by refund."""
        refunds = await self.temula.stripe(self.tenant).v1.refunds.list_async({"limit": 100})
        return sorted(refund.amount for refund in refunds.data if refund.status != "failed")

    async def sessions(self) -> int:
        """How many payment pages there are at Stripe."""
        return len((await self.temula.stripe(self.tenant).v1.checkout.sessions.list_async({"limit": 100})).data)


@pytest.fixture
async def shop(temula: Running, tenant: Tenant, hooks: Receiver) -> Shop:
    """Two kinds of ticket, at 50.00 and 25.00, and a free one."""
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
    return Shop(temula, tenant, await temula.sale(tenant, prices=(5000, 2500, 0)), hooks)
