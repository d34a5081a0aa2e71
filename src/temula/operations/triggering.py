"""Acts in a sandbox, through the public API, from which a message of a type follows."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from temula.kernel.clock import SystemClock, rfc3339
from temula.kernel.errors import InvalidInput, Unavailable
from temula.operations.calling import Api, Buyer, Refused

CURRENCY: Final = "MYR"
PRICE: Final = 5000
BUYER: Final = {"name": "Aisyah Rahman", "email": "aisyah@example.org"}
TAKEN, DECLINED = "4242424242424242", "4000000000000002"
PAYMENT_REQUIRED = 402
LOOK_EVERY, PATIENCE = 0.1, 30.0


class Trigger:
    """Acts until the message must follow; each act makes what it needs: an event, a registration, a gate."""

    def __init__(self, api: Api, buyer: Buyer) -> None:
        self._api = api
        self._buyer = buyer
        self._clock = SystemClock()
        self.acts: dict[str, Callable[[], Awaitable[str]]] = {
            "attendee.checked_in": self._check_in,
            "check_in.completed": self._check_in,
            "event.archived": self._archive,
            "event.published": self._publish,
            "event.updated": self._update,
            "payment.failed": self._fail_to_pay,
            "payment.succeeded": self._pay,
            "registration.cancelled": self._cancel,
            "registration.created": self._register,
            "registration.refunded": self._refund,
            "ticket.issued": self._issue,
            "ticket.void": self._void,
        }

    async def pull(self, type_: str) -> str:
        """Act; give the id of what the message is about. Raises `InvalidInput` for a type that no act leads to."""
        act = self.acts.get(type_)
        if act is None:
            raise InvalidInput(
                f"No act leads to {type_!r}; there are: {', '.join(sorted(self.acts))}. "
                "An example of any type goes to one endpoint with --endpoint whe_..."
            )
        return await act()

    async def _publish(self) -> str:
        starts = self._clock.now() + timedelta(days=30)
        wanted = {
            "name": "Triggered", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts + timedelta(hours=4)),
            "timezone": "Asia/Kuala_Lumpur", "currency": CURRENCY,
        }  # fmt: skip
        event = await self._api.post("/events", wanted)
        await self._api.post(f"/events/{event['id']}/publish")
        return str(event["id"])

    async def _update(self) -> str:
        event = await self._publish()
        await self._api.patch(f"/events/{event}", {"description": "Doors open at seven."})
        return event

    async def _archive(self) -> str:
        event = await self._publish()
        await self._api.post(f"/events/{event}/archive")
        return event

    async def _registered(self, price: int) -> dict[str, Any]:
        event = await self._publish()
        kind = await self._api.post(f"/events/{event}/ticket-types", {"name": "General admission", "price": price})
        seats = [{"ticket_type_id": kind["id"], "name": BUYER["name"]}]
        made: dict[str, Any] = await self._api.post(
            "/registrations", {"event_id": event, "buyer": BUYER, "attendees": seats}
        )
        return made

    async def _register(self) -> str:
        return str((await self._registered(PRICE))["id"])

    async def _cancel(self) -> str:
        registration = await self._register()
        await self._api.post(f"/registrations/{registration}/cancel")
        return registration

    async def _paid(self, card: str) -> str:
        registration = await self._register()

        async def page() -> str | None:
            attempts = (await self._api.get(f"/registrations/{registration}"))["payment"]["attempts"]
            action = attempts[-1]["next_action"] if attempts else None
            return None if action is None else str(action["url"])

        address = await self._until(page, "the provider gave no payment page")
        try:
            await self._buyer.pay(address, card)
        except Refused as refused:
            if card != DECLINED or refused.status != PAYMENT_REQUIRED:
                raise
        return registration

    async def _pay(self) -> str:
        return await self._paid(TAKEN)

    async def _fail_to_pay(self) -> str:
        return await self._paid(DECLINED)

    async def _refund(self) -> str:
        registration = await self._paid(TAKEN)

        async def confirmed() -> bool:
            return bool((await self._api.get(f"/registrations/{registration}"))["state"] == "confirmed")

        await self._until(confirmed, "the payment was not confirmed")
        await self._api.post("/refunds", {"registration_id": registration, "reason": "requested_by_customer"})
        return registration

    async def _ticket(self) -> dict[str, Any]:
        registration = await self._registered(0)

        async def issued() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await self._api.get(f"/tickets?registration_id={registration['id']}"))[
                "data"
            ]
            return found

        ticket: dict[str, Any] = (await self._until(issued, "no ticket was issued"))[0]
        return ticket

    async def _issue(self) -> str:
        return str((await self._ticket())["id"])

    async def _void(self) -> str:
        ticket = await self._issue()
        await self._api.post(f"/tickets/{ticket}/void")
        return ticket

    async def _check_in(self) -> str:
        ticket = await self._ticket()
        gate = await self._api.post("/checkpoints", {"event_id": ticket["event_id"], "name": "Gate A"})
        scan = {"checkpoint_id": gate["id"], "ticket_id": ticket["id"]}
        return str((await self._api.post("/check-ins", scan))["id"])

    async def _until(self, found: Callable[[], Awaitable[Any]], otherwise: str) -> Any:
        began = self._clock.monotonic()
        while self._clock.monotonic() - began < PATIENCE:
            if answer := await found():
                return answer
            await self._clock.sleep(LOOK_EVERY)
        raise Unavailable(f"After {PATIENCE:.0f} seconds {otherwise}: is the worker running?")
