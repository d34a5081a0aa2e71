"""A tenant that has one of everything: a row in every table and an object behind every route."""

from datetime import timedelta
from typing import NamedTuple

from temula.domain.connections import service as connections
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import PLATFORM, Mode, Role
from temula.kernel.clock import rfc3339
from temula.kernel.runner import Scheduler
from temula.operations.wiring import PLATFORM_ACTOR
from temula.outbound.callers import service as callers
from temula.outbound.webhooks import store as webhooks
from temula.outbound.webhooks.model import Step
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver

PASSWORD = "correct horse battery staple"


class Furnished(NamedTuple):
    """The tenant, the ids of its objects by kind, and every secret that it was given."""

    tenant: Tenant
    ids: dict[str, str]
    code: str
    secrets: dict[str, str]


async def furnish(temula: Running, tenant: Tenant, hooks: Receiver) -> Furnished:
    """Sell, pay, deliver, check in twice, refund, sign in: through the front door where there is one."""
    api = tenant.api
    people, secrets = await _people(temula, tenant)
    secrets |= {"token": tenant.token, "stripe_key": tenant.stripe_key}
    secrets["header"] = "a-key-of-their-server"
    endpoint = await api.post("/webhooks/endpoints", {"url": hooks.url, "headers": {"X-Key": secrets["header"]}})
    secrets["webhook_secret"] = endpoint["secret"]
    rotated = await api.post(f"/webhooks/endpoints/{endpoint['id']}/rotate-secret", {})
    secrets["second_webhook_secret"] = rotated["secret"]
    paused = await api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["ticket.issued"]})
    await api.patch(f"/webhooks/endpoints/{paused['id']}", {"state": "paused"})  # what comes for it waits
    sale = await temula.sale(tenant, prices=(5000, 2500))
    event = sale.event["id"]
    seats = [{"ticket_type_id": one["id"], "name": f"Guest {n}"} for n, one in enumerate(sale.types)]
    order = {"event_id": event, "buyer": {"name": "Aisyah", "email": "aisyah@example.org"}, "attendees": seats}
    registration = await api.post("/registrations", order)
    await temula.pay(registration)

    async def issued() -> list:
        found = await api.every(f"/tickets?event_id={event}")
        return found if len(found) == 2 else []

    ticket, other = await until(issued)
    scan = {"checkpoint_id": sale.gate["id"], "ticket_id": ticket["id"]}
    check_in = await api.post("/check-ins", scan)
    refused = await api.call("POST", "/check-ins", scan)
    assert refused.code == "ticket_already_used"
    giving_back = {"registration_id": registration["id"], "attendee_ids": [other["attendee_id"]]}
    refund = await api.post("/refunds", giving_back)

    async def delivered() -> list:
        return [one for one in await api.every("/webhooks/deliveries") if one["type"] == "registration.refunded"]

    (delivery,) = await until(delivered)
    await until(lambda: _state(temula, tenant, delivery["id"]))
    since = rfc3339(temula.house.database.clock.now() - timedelta(days=1))
    replay = await api.post("/webhooks/replays", {"kind": "failed", "since": since})
    await until(lambda: _over(tenant, replay["id"]))
    (attempt,) = (await api.get(f"/webhooks/attempts?message_id={delivery['message_id']}"))["data"]
    async with temula.house.database.crossing("a test does not wait for the end of the day") as uow:
        await webhooks.add_up_day(uow, Step.DAY.start(uow.now))
        await webhooks.note_forgotten(uow, [tenant.organization.organization_id], uow.now - timedelta(days=90))
    ids = {
        **people, "endpoint": endpoint["id"], "event": event, "ticket_type": sale.types[0]["id"],
        "checkpoint": sale.gate["id"], "registration": registration["id"], "payment": registration["payment"]["id"],
        "ticket": ticket["id"], "attendee": ticket["attendee_id"], "check_in": check_in["id"],
        "refund": refund["id"], "delivery": delivery["id"], "message": delivery["message_id"],
        "replay": replay["id"],
        "attempt": attempt["id"], "object": registration["id"],
    }  # fmt: skip
    return Furnished(tenant, ids, ticket["code"], secrets)


async def _state(temula: Running, tenant: Tenant, delivery_id: str) -> bool:
    found = await tenant.api.get(f"/webhooks/deliveries/{delivery_id}")
    return bool(found["attempts"]) and found["delivery"]["state"] == "delivered"


async def _over(tenant: Tenant, replay_id: str) -> bool:
    return (await tenant.api.get(f"/webhooks/replays/{replay_id}"))["state"] == "done"


async def _people(temula: Running, tenant: Tenant) -> tuple[dict[str, str], dict[str, str]]:
    """What has no route yet is made through its service: a member in a team, signed in."""
    database = temula.house.database
    email = f"{tenant.id}@example.org"
    async with database.unit(tenant.actor) as uow:
        member = await organizations.add_member(uow, email=email, name="Olga", role=Role.OWNER, password=PASSWORD)
        team = await organizations.add_team(uow, "Front of house")
        await organizations.join_team(uow, team.id, member.id)
    session = await callers.sign_in(database, email, PASSWORD)
    assert session is not None
    return {"member": member.id, "team": team.id}, {"password": PASSWORD, "session": session}


async def furnish_platform(temula: Running) -> dict[str, str]:
    """The platform's own rows: a shared connection, and the clock's ticks. Gives the secrets that it was given."""
    house = temula.house
    secrets = {"platform_key": "sk_test_platform_account_of_temula", "platform_door": connections.new_token()}
    async with house.database.crossing("a test connects the platform's account") as uow:
        await connections.connect(
            uow, house.ring, kind="payments", provider="stripe", mode=Mode.LIVE, hint="mula", on_platform=True,
            credentials={"secret_key": secrets["platform_key"], "webhook_secret": "whsec_platform"},
            token=secrets["platform_door"],
        )  # fmt: skip
    await Scheduler(house.database, house.timed, PLATFORM_ACTOR).tick()
    assert PLATFORM_ACTOR.organization_id == PLATFORM
    return secrets
