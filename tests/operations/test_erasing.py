"""`temula privacy erase`: a person goes from messages, the log, its archives, and from where they stand."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import jsonschema
import pytest
from aiohttp import web

from temula.kernel.erasing import MARK
from temula.kernel.errors import Conflict, InvalidInput, NotFound
from temula.kernel.objects import StorageFailed
from temula.operations import auditing, catalogue, erasing
from temula.operations.erasing import Act, Subject
from temula.outbound.webhooks.jobs import forgetting
from temula.outbound.webhooks.service import Archives
from temula.outbound.webhooks.service.archives import ALONE
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.harness.storage import Failing

NAME, EMAIL = "Aisyah Rahman", "aisyah@example.org"
OTHER, OTHERS = "Bo Tan", "bo@example.org"
OLD = """
INSERT INTO webhook_attempts (organization_id, at, id, delivery_id, endpoint_id, message_id, type, number,
    outcome, duration_ms, signatures, response_headers, response_body, delivery_created_at)
SELECT $1, $2, 'dat_old' || n, 'dlv_1', 'whe_1', 'msg_1', 'x', 1, 'delivered', 3, '', $4,
    CASE n WHEN 1 THEN $3 ELSE 'ok'::bytea END, $2
FROM generate_series(1, 3) AS n
"""
NOBODY = Act(dry=False, told=lambda *_: None, wait=0)
LOOKING = NOBODY._replace(dry=True)


class Spoken(NamedTuple):
    """A registration of two that was cancelled for a reason that names somebody, and what receivers answered."""

    tenant: Tenant
    registration: dict[str, Any]
    message_id: str
    delivery_id: str


def echo(_: object = None) -> web.Response:
    text = json.dumps({"known": {"name": NAME, "mail": EMAIL.upper()}, "also": OTHER})
    return web.Response(text=text, headers={"X-Customer": EMAIL})


@pytest.fixture
async def spoken(temula: Running, tenant: Tenant, hooks: Receiver) -> Spoken:
    hooks.answers = [echo] * 20
    asked = {"url": hooks.url, "types": ["registration.cancelled"], "mask": ["data.event_id"]}
    await tenant.api.post("/webhooks/endpoints", asked)
    sale = await temula.sale(tenant, prices=(0,))
    kind = sale.types[0]["id"]
    seats = [
        {"ticket_type_id": kind, "name": NAME, "email": EMAIL},
        {"ticket_type_id": kind, "name": OTHER, "email": OTHERS},
    ]
    order = {"event_id": sale.event["id"], "buyer": {"name": NAME, "email": EMAIL}, "attendees": seats}
    registration = await tenant.api.post("/registrations", order)
    await until(lambda: two_tickets(tenant, registration["id"]))
    await tenant.api.post(f"/registrations/{registration['id']}/cancel", {"reason": f"{NAME} <{EMAIL}> is ill"})

    async def delivered() -> list[dict[str, Any]]:
        found = await tenant.api.every("/webhooks/deliveries")
        return [one for one in found if one["state"] == "delivered"]

    (delivery,) = await until(delivered)
    return Spoken(tenant, registration, delivery["message_id"], delivery["id"])


async def two_tickets(tenant: Tenant, registration_id: str) -> bool:
    return len(await tenant.api.every(f"/tickets?registration_id={registration_id}")) == 2


async def everything(temula: Running, tenant: Tenant) -> str:
    """Every row of the tenant's in every table that holds texts, but those that say what else they hold."""
    owner = await asyncpg.connect(temula.owner_url)
    rows = []
    for table in ("facts", "webhook_attempts", "registrations", "attendees"):
        rows += await owner.fetch(
            f"SELECT to_jsonb(t)::text AS row FROM {table} t WHERE organization_id = $1", tenant.id
        )
        rows += await owner.fetch(
            "SELECT convert_from(response_body, 'UTF8') || convert_from(coalesce(request_body, ''), 'UTF8') AS row "
            "FROM webhook_attempts WHERE organization_id = $1 AND response_body IS NOT NULL",
            tenant.id,
        )
    rows += await owner.fetch("SELECT to_jsonb(t)::text AS row FROM audit_entries t WHERE action = 'person.erase'")
    await owner.close()
    return "\n".join(row["row"] for row in rows)


async def archived(temula: Running, tenant: Tenant, archives: Archives) -> datetime:
    """A day of the tenant's log that is in the archive and not in the database any more."""
    owner = await asyncpg.connect(temula.owner_url)
    at = datetime.now(UTC) - timedelta(days=400)
    await owner.execute("SELECT temula_webhook_attempts_day($1)", at.date())
    body, headers = json.dumps({"for": NAME}).encode(), f"x-for: {EMAIL}".encode()
    await owner.execute(OLD, tenant.id, at, body, headers)
    await owner.close()
    await forgetting.forget(temula.house.database, archives, 90)
    return at


def lines(folder: Path, tenant: Tenant) -> list[dict[str, Any]]:
    """What the archive of the tenant holds, by all of its files."""
    files = (folder / "archive" / "webhook-attempts" / tenant.id).glob("*.gz")
    return [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]


async def test_a_person_goes_from_everywhere(temula: Running, spoken: Spoken) -> None:
    """Counted first and not touched; then gone from messages, log, archive, orders and PDFs, and only this person."""
    house, tenant, folder = temula.house, spoken.tenant, temula.house.configuration.data.folder
    await archived(temula, tenant, house.archives)
    subject = Subject(attendee_id=spoken.registration["attendees"][0]["id"])
    before = await everything(temula, tenant)
    counted = await erasing.erase(house, tenant.actor, subject, LOOKING)
    assert (counted.registrations, counted.attendees) == (1, 1)
    assert (counted.webhooks.attempts, list(counted.webhooks.archived.values())) == (1, [3])
    assert counted.webhooks.facts >= 1
    assert await everything(temula, tenant) == before
    assert NAME in json.dumps(lines(folder, tenant))

    assert await erasing.erase(house, tenant.actor, subject, NOBODY) == counted
    left = await everything(temula, tenant) + json.dumps(lines(folder, tenant))
    for text in (NAME, NAME.upper(), EMAIL, EMAIL.upper()):
        assert text not in left
    assert OTHER in left
    assert OTHERS in left
    assert len(lines(folder, tenant)) == 3
    (manifest,) = await house.archives.listed(tenant.id)
    assert manifest.erased_at is not None
    assert sum([len(some) async for some in house.archives.lines(manifest)]) == manifest.rows == 3

    again = await erasing.erase(house, tenant.actor, subject, NOBODY)
    assert not again.webhooks.any
    assert not (await erasing.erase(house, tenant.actor, Subject(email=EMAIL), LOOKING)).webhooks.any
    assert all(chain.broken_at is None for chain in await auditing.verify(house.database))


async def test_who_asks_later_gets_the_mark(temula: Running, spoken: Spoken, hooks: Receiver) -> None:
    """Pulled, replayed or read in the log, the message has its published shape, and says that something is gone."""
    api, house = spoken.tenant.api, temula.house
    await erasing.erase(house, spoken.tenant.actor, Subject(registration_id=spoken.registration["id"]), NOBODY)
    pulled = await api.get(f"/webhooks/messages/{spoken.message_id}")
    assert pulled["data"]["reason"] == f"{MARK} <{MARK}> is ill"
    schema = next(one for one in catalogue.event_types().data if one.type == "registration.cancelled").schema
    jsonschema.validate(pulled, schema)
    hooks.answers = []
    already = len(hooks.arrivals)
    await api.post(f"/webhooks/deliveries/{spoken.delivery_id}/replay")

    async def arrived() -> bool:
        return len(hooks.arrivals) > already

    await until(arrived)
    assert hooks.arrivals[-1].message["data"]["reason"] == f"{MARK} <{MARK}> is ill"
    log = await api.get(f"/webhooks/deliveries/{spoken.delivery_id}")
    (attempt,) = log["attempts"]
    assert json.loads(attempt["response_body"]) == {"known": {"name": MARK, "mail": MARK}, "also": MARK}
    shown = await api.get(f"/registrations/{spoken.registration['id']}")
    assert shown["buyer"] == {"name": MARK, "email": MARK}
    assert [one["name"] for one in shown["attendees"]] == [MARK, MARK]


async def test_the_audit_log_says_that_and_not_whom(temula: Running, spoken: Spoken) -> None:
    """The act is there with its counts; the value is not, even if it was what was asked with."""
    await erasing.erase(temula.house, spoken.tenant.actor, Subject(email=EMAIL.upper()), NOBODY)
    owner = await asyncpg.connect(temula.owner_url)
    entry = await owner.fetchrow(
        "SELECT target, changes::text FROM audit_entries WHERE organization_id = $1 AND action = 'person.erase'",
        spoken.tenant.id,
    )
    await owner.close()
    assert entry["target"] == "email"
    assert json.loads(entry["changes"])["attempts"] == 1
    assert EMAIL not in entry["changes"].lower()


async def test_what_is_recorded_meanwhile(temula: Running, spoken: Spoken) -> None:
    """An attempt that was on its way is recorded after the first look, and found by the second."""
    late = datetime.now(UTC)

    async def record() -> None:
        owner = await asyncpg.connect(temula.owner_url)
        await owner.execute(OLD, spoken.tenant.id, late, NAME.encode(), b"")
        await owner.close()

    def told(what: str, _total: int, _done: int) -> None:
        if what.startswith("waiting"):
            recording.append(asyncio.ensure_future(record()))

    recording: list[asyncio.Future[None]] = []
    await erasing.erase(temula.house, spoken.tenant.actor, Subject(email=EMAIL), Act(dry=False, told=told, wait=2.0))
    (recorded,) = recording
    await recorded
    assert NAME not in await everything(temula, spoken.tenant)


async def test_stopped_in_the_archive(temula: Running, spoken: Spoken) -> None:
    """If the storage fails half way, the person still stands where they stood, and it is run again to its end."""
    house, folder = temula.house, temula.house.configuration.data.folder
    await archived(temula, spoken.tenant, house.archives)
    for at, after in ((1, False), (1, True), (2, False), (2, True)):
        failing = Failing(folder / "archive")
        failing.at, failing.after = at, after
        with pytest.raises(StorageFailed):
            await erasing.erase(
                house._replace(archives=Archives(failing)), spoken.tenant.actor,
                Subject(registration_id=spoken.registration["id"]), NOBODY,
            )  # fmt: skip
        shown = await spoken.tenant.api.get(f"/registrations/{spoken.registration['id']}")
        assert shown["buyer"]["name"] == NAME
        (manifest,) = await house.archives.listed(spoken.tenant.id)
        assert sum([len(some) async for some in house.archives.lines(manifest)]) == 3
    await erasing.erase(house, spoken.tenant.actor, Subject(registration_id=spoken.registration["id"]), NOBODY)
    assert NAME not in json.dumps(lines(folder, spoken.tenant))
    assert len(lines(folder, spoken.tenant)) == 3


async def test_one_organization_only(temula: Running, spoken: Spoken) -> None:
    """Another organization cannot erase here, by id or by address."""
    other = await temula.tenant(connected=False)
    with pytest.raises(NotFound):
        await erasing.erase(temula.house, other.actor, Subject(registration_id=spoken.registration["id"]), NOBODY)
    await erasing.erase(temula.house, other.actor, Subject(email=EMAIL), NOBODY)
    assert EMAIL in await everything(temula, spoken.tenant)


async def test_it_is_not_done_beside_an_archive_or_without_a_name(temula: Running, tenant: Tenant) -> None:
    """While a night writes archives it is refused; so is what names nobody, or two."""
    async with temula.house.database.alone(ALONE):
        with pytest.raises(Conflict):
            await erasing.erase(temula.house, tenant.actor, Subject(email=EMAIL), NOBODY)
    for subject in (Subject(), Subject(registration_id="reg_1", email=EMAIL), Subject(email="nobody")):
        with pytest.raises(InvalidInput):
            await erasing.erase(temula.house, tenant.actor, subject, NOBODY)


async def test_a_fact_is_changed_by_erasing_only(temula: Running, spoken: Spoken) -> None:
    """The function puts the mark in and nothing else, for the crossing role alone; other values are refused."""
    owner = await asyncpg.connect(temula.owner_url)
    call = "SELECT temula_erase_fact($1, $2, $3, $4)"
    data = await owner.fetchval("SELECT data::text FROM facts WHERE id = $1", spoken.message_id)
    marked = data.replace(NAME, MARK)
    refused = (
        ("temula_app", data, marked), ("temula_crossing", data, data.replace(NAME, "Somebody Else")),
        ("temula_crossing", data, json.dumps({"reason": MARK})),
    )  # fmt: skip
    for role, was, now in refused:
        await owner.execute(f"SET ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.fetchval(call, spoken.tenant.id, spoken.message_id, was, now)
        await owner.execute("RESET ROLE")
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE temula_crossing")
        assert not await owner.fetchval(call, spoken.tenant.id, spoken.message_id, data + " ", marked)
        assert await owner.fetchval(call, spoken.tenant.id, spoken.message_id, data, marked)
    assert await owner.fetchval("SELECT data::text FROM facts WHERE id = $1", spoken.message_id) == marked
    await owner.close()
