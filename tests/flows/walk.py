"""The main job, act by act through the API, and everything that was answered and heard on the way."""

from datetime import timedelta
from typing import Any

from temula.domain.organizations import service as organizations
from temula.kernel.clock import rfc3339
from tests.harness.api import Answer
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver

Json = dict[str, Any]
PRICES = (5000, 12000)
# What the acts below must tell, and how often; nothing else.
MESSAGES = {
    "event.published": 1,
    "registration.created": 2,
    "payment.failed": 2,
    "payment.succeeded": 1,
    "ticket.issued": 2,
    "check_in.completed": 2,
    "attendee.checked_in": 2,
    "registration.refunded": 1,
    "ticket.void": 2,
    "registration.cancelled": 1,
    "event.updated": 1,
    "event.archived": 1,
}


class Walk:
    """One event from its draft to the archive."""

    def __init__(self, temula: Running, tenant: Tenant, hooks: Receiver) -> None:
        self.temula = temula
        self.tenant = tenant
        self.api = tenant.api
        self.hooks = hooks
        self.team_id = ""
        self.endpoint: Json = {}
        self.event: Json = {}
        self.types: list[Json] = []
        self.gate: Json = {}
        self.registration: Json = {}
        self.cancelled: Json = {}
        self.tickets: list[Json] = []
        self.pdfs: list[bytes] = []
        self.codes: list[Answer] = []
        self.valid: list[Json] = []
        self.check_ins: list[Json] = []
        self.refused: Json = {}
        self.used: Json = {}
        self.refund: Json = {}
        self.edited: Json = {}
        self.archived: Json = {}

    async def play(self) -> None:
        """Everything, in order."""
        acts = (self.publish, self.register, self.be_declined, self.pay, self.look_at_tickets)
        for act in (*acts, self.scan, self.give_back, self.void, self.cancel, self.edit, self.archive):
            await act()
        await self.heard("event.archived")

    async def heard(self, type_: str) -> list[Json]:
        """The data of all messages of a type, once as many have arrived as there must be."""

        async def all_there() -> bool:
            return len(self.hooks.of(type_)) >= MESSAGES[type_]

        await until(all_there)
        return [arrival.message["data"] for arrival in self.hooks.of(type_)]

    async def publish(self) -> None:
        async with self.temula.house.database.unit(self.tenant.actor) as uow:
            self.team_id = (await organizations.add_team(uow, "Concerts")).id
        self.endpoint = await self.api.post("/webhooks/endpoints", {"url": self.hooks.url, "types": ["*"]})
        starts = (self.temula.house.database.clock.now() + timedelta(days=30)).replace(microsecond=0)
        wanted = {
            "name": "First Night", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts + timedelta(hours=4)),
            "timezone": "Asia/Kuala_Lumpur", "currency": "MYR", "venue": "Hall", "visibility": "unlisted",
            "team_id": self.team_id,
        }  # fmt: skip
        event = await self.api.post("/events", wanted)
        for n, price in enumerate(PRICES):
            ticket_type = {"name": f"Type {n}", "price": price, "quota": 10}
            self.types.append(await self.api.post(f"/events/{event['id']}/ticket-types", ticket_type))
        self.event = await self.api.post(f"/events/{event['id']}/publish")
        self.gate = await self.api.post("/checkpoints", {"event_id": event["id"], "name": "Gate A"})

    async def register(self) -> None:
        attendees = [{"ticket_type_id": one["id"], "name": f"Guest {n}"} for n, one in enumerate(self.types)]
        self.registration = await self._registered(attendees)

    async def _registered(self, attendees: list[Json]) -> Json:
        buyer = {"name": "Aisyah", "email": "aisyah@example.org"}
        wanted = {"event_id": self.event["id"], "buyer": buyer, "attendees": attendees}
        return await self.api.post("/registrations", wanted)

    async def be_declined(self) -> None:
        """Twice: by a fault that was ordered, and by a card."""
        await self.temula.fault("decline", self.tenant)
        await self.temula.pay(self.registration, status=402)
        await self.temula.pay(self.registration, "decline", status=402)
        await self.heard("payment.failed")

    async def pay(self) -> None:
        await self.temula.pay(self.registration)
        await self.heard("payment.succeeded")

    async def look_at_tickets(self) -> None:
        told = {one["attendee_id"]: one for one in await self.heard("ticket.issued")}
        for attendee in self.registration["attendees"]:
            issued = told[attendee["id"]]
            ticket = await self.api.get(f"/tickets/{issued['ticket_instance_id']}")
            self.tickets.append(ticket)
            self.pdfs.append((await self.api.call("GET", f"/tickets/{ticket['id']}/pdf")).body)
            path = issued["qr_code_url"].removeprefix(self.temula.base_url)
            self.codes.append(await self.api.call("GET", f"/{path}"))
            self.valid.append(await self.api.post("/tickets/validate", {"code": ticket["code"]}))

    async def scan(self) -> None:
        for ticket in self.tickets:
            wanted = {"checkpoint_id": self.gate["id"], "code": ticket["code"]}
            self.check_ins.append(await self.api.post("/check-ins", wanted))
        again = {"checkpoint_id": self.gate["id"], "code": self.tickets[0]["code"]}
        answer = await self.api.call("POST", "/check-ins", again)
        assert answer.status == 409
        assert answer.code == "ticket_already_used"
        self.refused = answer.json
        self.used = await self.api.post("/tickets/validate", {"code": self.tickets[0]["code"]})

    async def give_back(self) -> None:
        attendee_ids = [self.registration["attendees"][1]["id"]]
        wanted = {"registration_id": self.registration["id"], "attendee_ids": attendee_ids, "reason": "ill"}
        made = await self.api.post("/refunds", wanted)
        await self.heard("registration.refunded")
        self.refund = await self.api.get(f"/refunds/{made['id']}")

    async def void(self) -> None:
        await self.api.post(f"/tickets/{self.tickets[0]['id']}/void", {"reason": "copied"})
        await self.heard("ticket.void")

    async def cancel(self) -> None:
        made = await self._registered([{"ticket_type_id": self.types[0]["id"]}])
        self.cancelled = await self.api.post(f"/registrations/{made['id']}/cancel", {"reason": "changed plans"})

    async def edit(self) -> None:
        starts = (self.temula.house.database.clock.now() + timedelta(days=31)).replace(microsecond=0)
        changes = {"name": "Zweite Nacht für Zoë 🎫", "starts_at": rfc3339(starts), "venue": "Hall"}
        ends = {"ends_at": rfc3339(starts + timedelta(hours=1)), "team_id": self.team_id}
        self.edited = await self.api.patch(f"/events/{self.event['id']}", changes | ends)

    async def archive(self) -> None:
        self.archived = await self.api.post(f"/events/{self.event['id']}/archive")
