"""The main job of Temula from outside, act by act: sell, pay, deliver, scan, refund."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from temula.kernel.clock import Clock, rfc3339
from temula.operations.calling import Api, Buyer
from temula.operations.demo.receiver import Receiver
from temula.operations.demo.reckoning import Ledger, Sent
from temula.operations.demo.stage import Stage

TEST_CARD: Final = "4242424242424242"
CURRENCY: Final = "MYR"
PRICES: Final = {"General admission": 5000, "Front row": 12000}
BUYER: Final = {"name": "Aisyah Rahman", "email": "aisyah@example.org"}
GUESTS: Final = ("Aisyah Rahman", "Tan Wei Ming")
REASON: Final = "requested_by_customer"
LOOK_EVERY: Final = 0.05
# How long to listen after the last expected webhook for one that should not come.
LISTEN_ON: Final = 0.5
LONGEST_SETTLING: Final = 5.0


class WentWrong(Exception):
    """An act did not come out as it must; the text says what happened instead."""


class Walk:
    """Plays the acts one after another; each says in the ledger which webhooks must follow from it."""

    def __init__(
        self, api: Api, buyer: Buyer, receiver: Receiver, stage: Stage, ledger: Ledger, clock: Clock,
        patience: float,
    ) -> None:  # fmt: skip
        self._api = api
        self._buyer = buyer
        self._receiver = receiver
        self._stage = stage
        self._ledger = ledger
        self._clock = clock
        self._patience = patience
        self._endpoint: str | None = None
        self._event: dict[str, Any] = {}
        self._types: list[dict[str, Any]] = []
        self._registration: dict[str, Any] = {}
        self._tickets: list[dict[str, Any]] = []

    @property
    def acts(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What is played, in order."""
        return (
            ("An event with two ticket types is created and published", self._publish),
            ("A webhook endpoint is added; its receiver runs here", self._add_endpoint),
            ("Two attendees are registered", self._register),
            ("The buyer pays on Stripe's page; Stripe calls back", self._pay),
            ("Tickets: a signed QR code and a PDF each", self._look_at_tickets),
            ("At the gate both are scanned, one of them twice", self._scan),
            ("One attendee is refunded", self._refund),
        )

    async def sent(self) -> list[Sent]:
        """Read Temula's own log of the deliveries, if possible once none of them is under way any more."""
        if self._endpoint is None:
            return []
        await self._clock.sleep(LISTEN_ON)
        path = f"/webhooks/deliveries?endpoint_id={self._endpoint}&limit=100"
        began = self._clock.monotonic()
        while True:
            page = await self._api.get(path)
            log = [Sent(one["message_id"], one["type"], one["state"], one["attempts"]) for one in page["data"]]
            if not any(one.under_way for one in log) or self._clock.monotonic() - began > LONGEST_SETTLING:
                return log
            await self._clock.sleep(LOOK_EVERY)

    async def clean_up(self) -> None:
        """Remove the endpoint, whose receiver is about to end."""
        if self._endpoint is not None:
            await self._api.delete(f"/webhooks/endpoints/{self._endpoint}")

    async def _publish(self) -> None:
        starts = (self._clock.now() + timedelta(days=30)).replace(hour=12, minute=0, second=0, microsecond=0)
        wanted = {
            "name": "Demo Night", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts + timedelta(hours=4)),
            "timezone": "Asia/Kuala_Lumpur", "currency": CURRENCY, "venue": "Dewan Filharmonik, Kuala Lumpur",
        }  # fmt: skip
        self._event = await self._api.post("/events", wanted)
        for name, price in PRICES.items():
            ticket_type = {"name": name, "price": price, "quota": 100}
            self._types.append(await self._api.post(f"/events/{self._event['id']}/ticket-types", ticket_type))
        published = await self._api.post(f"/events/{self._event['id']}/publish")
        self._stage.say(f"{published['name']} is {published['state']}: {published['id']}")
        for one in self._types:
            self._stage.say(f"{one['name']}: {_money(one['price'])}, {one['quota']} tickets")

    async def _add_endpoint(self) -> None:
        wanted = {"url": self._receiver.url, "types": ["*"], "event_ids": [self._event["id"]]}
        endpoint = await self._api.post("/webhooks/endpoints", wanted)
        self._receiver.secret, self._endpoint = endpoint["secret"], endpoint["id"]
        self._stage.say(f"{endpoint['url']} gets every message about this event from now on")

    async def _register(self) -> None:
        attendees = [{"ticket_type_id": one["id"], "name": name} for one, name in zip(self._types, GUESTS, strict=True)]
        wanted = {"event_id": self._event["id"], "buyer": BUYER, "attendees": attendees}
        made = self._registration = await self._api.post("/registrations", wanted)
        ids = [attendee["id"] for attendee in made["attendees"]]
        self._ledger.expect(
            "registration.created", registration_id=made["id"], event_id=self._event["id"], attendee_id=ids[0],
            attendee_ids=ids, total_amount=sum(PRICES.values()), currency=CURRENCY,
        )  # fmt: skip
        self._stage.say(f"{' and '.join(GUESTS)}: {_money(made['total_amount'])}, {made['state']}: {made['id']}")
        await self._heard()

    async def _pay(self) -> None:
        page = await self._payment_page()
        self._stage.say(f"the page: {page}")
        said = await self._buyer.pay(page, TEST_CARD)
        self._stage.say(f"paid with a test card; back in the shop: {said}")
        self._ledger.expect(
            "payment.succeeded", registration_id=self._registration["id"], amount=self._registration["total_amount"],
            currency=CURRENCY, gateway="stripe",
        )  # fmt: skip
        for attendee in self._registration["attendees"]:
            self._ledger.expect("ticket.issued", attendee_id=attendee["id"], event_id=self._event["id"])
        await self._heard()
        registration = await self._api.get(f"/registrations/{self._registration['id']}")
        reference = self._ledger.of("payment.succeeded")[0].data["reference"]
        self._stage.say(
            f"Stripe's signed callback was taken ({reference}): the registration is {registration['state']}"
        )

    async def _look_at_tickets(self) -> None:
        issued = {arrival.data["attendee_id"]: arrival.data for arrival in self._ledger.of("ticket.issued")}
        for attendee in self._registration["attendees"]:
            told = issued[attendee["id"]]
            ticket = await self._api.get(f"/tickets/{told['ticket_instance_id']}")
            kind, drawn = await self._api.file(told["qr_code_url"])
            _require(kind.startswith("image/svg+xml") and b"<svg" in drawn, f"the QR code came as {kind}")
            _, pdf = await self._api.file(f"/tickets/{ticket['id']}/pdf")
            _require(pdf.startswith(b"%PDF"), f"the PDF begins with {pdf[:8]!r}")
            seen = await self._api.post("/tickets/validate", {"code": ticket["code"]})
            _require(seen["valid"] and seen["ticket"]["id"] == ticket["id"], f"the code is refused: {seen['detail']}")
            self._tickets.append(ticket)
            self._stage.say(f"{ticket['id']}: QR code of {len(drawn):,} bytes, PDF of {len(pdf):,}, the code is valid")

    async def _scan(self) -> None:
        gate = await self._api.post("/checkpoints", {"event_id": self._event["id"], "name": "Gate A"})
        for ticket in self._tickets:
            scanned = await self._api.post("/check-ins", {"checkpoint_id": gate["id"], "code": ticket["code"]})
            self._stage.say(f"{self._name(ticket)} is admitted at {gate['name']}, {_clock(scanned['at'])}")
            who = {"event_id": self._event["id"], "attendee_id": ticket["attendee_id"]}
            self._ledger.expect("check_in.completed", **who, ticket_id=ticket["id"], location="Gate A", method="qr")
            self._ledger.expect("attendee.checked_in", **who)
        again = {"checkpoint_id": gate["id"], "code": self._tickets[0]["code"]}
        problem = await self._api.post("/check-ins", again, refused_as=409)
        _require(problem["code"] == "ticket_already_used", f"the second scan is refused as {problem['code']}")
        first = problem["extra"]["first"]
        self._stage.say(
            f"{self._name(self._tickets[0])} again: refused, {problem['code']}: "
            f"admitted by {first['actor']} at {first['location']}, {_clock(first['at'])}"
        )
        await self._heard()

    async def _refund(self) -> None:
        ticket, price = self._tickets[1], self._registration["attendees"][1]["price"]
        wanted = {
            "registration_id": self._registration["id"], "attendee_ids": [ticket["attendee_id"]], "reason": REASON,
        }  # fmt: skip
        refund = await self._api.post("/refunds", wanted)
        self._stage.say(f"{_money(refund['amount'])} go back to the buyer of {self._name(ticket)}'s ticket")
        self._ledger.expect(
            "registration.refunded", registration_id=self._registration["id"], event_id=self._event["id"],
            amount=price, currency=CURRENCY, reason=REASON,
        )  # fmt: skip
        self._ledger.expect("ticket.void", ticket_instance_id=ticket["id"], attendee_id=ticket["attendee_id"])
        await self._heard()
        seen = await self._api.post("/tickets/validate", {"code": ticket["code"]})
        _require(seen["reason"] == "ticket_void", f"a refunded ticket is not void: {seen['detail']}")
        refund = await self._api.get(f"/refunds/{refund['id']}")
        _require(refund["state"] == "succeeded", f"the refund is {refund['state']}")
        self._stage.say(f"the refund has {refund['state']}; the ticket admits nobody any more: {seen['reason']}")

    def _name(self, ticket: dict[str, Any]) -> str:
        attendees = self._registration["attendees"]
        return str(next(one["name"] for one in attendees if one["id"] == ticket["attendee_id"]))

    async def _heard(self) -> None:
        await self._ledger.settle(self._patience)

    async def _payment_page(self) -> str:
        """Give where the buyer pays: in the answer already, or a little later if the provider took its time."""
        began = self._clock.monotonic()
        while self._clock.monotonic() - began < self._patience:
            registration = await self._api.get(f"/registrations/{self._registration['id']}")
            if (action := registration["payment"]["attempts"][-1]["next_action"]) is not None:
                return str(action["url"])
            await self._clock.sleep(LOOK_EVERY)
        raise WentWrong(f"Stripe gave no payment page within {self._patience:.0f} seconds")


def _require(good: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion
    if not good:
        raise WentWrong(otherwise)


def _money(minor: int) -> str:
    return f"{CURRENCY} {minor / 100:,.2f}"


def _clock(at: str) -> str:
    return f"{datetime.fromisoformat(at):%H:%M:%S} UTC"
