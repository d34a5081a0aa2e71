"""One ticket, many gates: exactly one admits, and a void ticket admits nobody; the database decides who was first."""

import asyncio
import random
import time
from collections import Counter
from typing import Any, NamedTuple

from tests.harness.api import Answer
from tests.harness.fleet import Fleet, fleet
from tests.harness.ground import found
from tests.harness.house import Running, Sale, Tenant, until

STANDING = "SELECT id FROM check_ins WHERE ticket_id = $1 AND undone_at IS NULL"


async def sold(temula: Running, tenant: Tenant, tickets: int) -> tuple[Sale, list[dict[str, Any]]]:
    """An event with so many issued tickets."""
    sale = await temula.sale(tenant, prices=(0,), quota=None)
    wish = {"event_id": sale.event["id"], "buyer": {"name": "Aisyah", "email": "a@example.org"},
            "attendees": [{"ticket_type_id": sale.types[0]["id"]}] * tickets}  # fmt: skip
    await tenant.api.post("/registrations", wish)

    async def issued() -> list[dict[str, Any]] | None:
        found = await tenant.api.every(f"/tickets?event_id={sale.event['id']}")
        return found if len(found) == tickets else None

    return sale, await until(issued)


async def scan(servers: Fleet, tenant: Tenant, turn: int, gate: dict[str, Any], code: str) -> Answer:
    return await servers.api(tenant, turn).call("POST", "/check-ins", {"checkpoint_id": gate["id"], "code": code})


async def test_two_hundred_scans_of_one_ticket_admit_once(temula: Running, tenant: Tenant) -> None:
    """From three processes and four gates at once; all others are refused as used, naming the one that was first."""
    sale, (ticket,) = await sold(temula, tenant, 1)
    body = [{"event_id": sale.event["id"], "name": f"Gate {name}"} for name in "BCD"]
    gates = [sale.gate, *[await tenant.api.post("/checkpoints", one) for one in body]]
    async with fleet(temula) as servers:
        answers = await asyncio.gather(*(scan(servers, tenant, n, gates[n % 4], ticket["code"]) for n in range(200)))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 199}
    (admitted,) = [answer.json for answer in answers if answer.status == 201]
    location = next(gate["name"] for gate in gates if gate["id"] == admitted["checkpoint_id"])
    for answer in answers:
        if answer.status == 409:
            assert answer.code == "ticket_already_used"
            first = answer.json["extra"]["first"]
            assert (first["check_in_id"], first["location"], first["at"][:-1]) == (
                admitted["id"], location, admitted["at"][:23]
            )  # fmt: skip
    assert await found(temula.owner_url, STANDING, ticket["id"]) == [(admitted["id"],)]
    kept = "SELECT count(*) FROM refused_scans WHERE ticket_id = $1 AND reason = 'ticket_already_used'"
    assert await found(temula.owner_url, kept, ticket["id"]) == [(199,)]
    told = "SELECT type FROM facts WHERE data->>'attendee_id' = $1 AND type LIKE '%check%' ORDER BY type"
    facts = await found(temula.owner_url, told, ticket["attendee_id"])
    assert facts == [("attendee.checked_in",), ("check_in.completed",)]


class Tried(NamedTuple):
    """A scan with when it was sent; `time` is of this test's clock."""

    sent: float
    answer: Answer


async def _scanned(servers: Fleet, tenant: Tenant, turn: int, sale: Sale, code: str, after: float) -> Tried:
    await asyncio.sleep(after)
    sent = time.monotonic()
    return Tried(sent, await scan(servers, tenant, turn, sale.gate, code))


async def _voided(servers: Fleet, tenant: Tenant, turn: int, path: str, after: float) -> float:
    """Give when it was acknowledged."""
    await asyncio.sleep(after)
    await servers.api(tenant, turn).post(path, {"reason": "changed"})
    return time.monotonic()


async def _race(temula: Running, tenant: Tenant, sale: Sale, targets: list[tuple[dict[str, Any], str]]) -> int:
    """Scan each ticket while it is being ended by a POST to its path; gives how many were admitted before."""
    chance = random.Random(7)
    admitted = 0
    async with fleet(temula) as servers:
        for turn, (ticket, path) in enumerate(targets):
            delays = [chance.uniform(0, 0.03) for _ in range(5)]
            acknowledged, *tried = await asyncio.gather(
                _voided(servers, tenant, turn, path, chance.uniform(0, 0.02)),
                *(_scanned(servers, tenant, turn + n, sale, ticket["code"], wait) for n, wait in enumerate(delays)),
            )
            last = await _scanned(servers, tenant, turn, sale, ticket["code"], 0)
            assert (last.answer.status, last.answer.code) == (409, "ticket_void")
            good = [one for one in tried if one.answer.status == 201]
            assert len(good) <= 1
            assert all(one.sent < acknowledged for one in good), "admitted after it was acknowledged as void"
            assert {one.answer.code for one in tried if one not in good} <= {"ticket_void", "ticket_already_used"}
            standing = await found(temula.owner_url, STANDING, ticket["id"])
            assert standing == [(one.answer.json["id"],) for one in good]
            admitted += len(good)
    return admitted


async def test_a_ticket_that_is_being_voided_is_never_admitted_afterwards(temula: Running, tenant: Tenant) -> None:
    """40 races of five scans against one void: either the scan was first, or nobody is admitted."""
    sale, tickets = await sold(temula, tenant, 40)
    admitted = await _race(temula, tenant, sale, [(one, f"/tickets/{one['id']}/void") for one in tickets])
    assert 0 < admitted < 40, "the race was no race: move the delays"


async def test_a_registration_that_is_being_cancelled_is_never_admitted_afterwards(
    temula: Running, tenant: Tenant
) -> None:
    """The same against `POST /registrations/{id}/cancel`, although the ticket itself is voided a moment later."""
    sale, _ = await sold(temula, tenant, 1)
    targets = []
    for _ in range(20):
        wish = {"event_id": sale.event["id"], "buyer": {"name": "B", "email": "b@example.org"},
                "attendees": [{"ticket_type_id": sale.types[0]["id"]}]}  # fmt: skip
        made = await tenant.api.post("/registrations", wish)
        (ticket,) = await until(lambda made=made: tenant.api.every(f"/tickets?registration_id={made['id']}"))
        targets.append((ticket, f"/registrations/{made['id']}/cancel"))
    await _race(temula, tenant, sale, targets)


async def test_undo_and_scan_racing_keep_one_admission(temula: Running, tenant: Tenant) -> None:
    """Undoing and scanning at the same moment: at most one check-in stands, and every answer adds up."""
    chance = random.Random(3)
    sale, (ticket,) = await sold(temula, tenant, 1)
    admitted: list[str] = []
    undone: list[str] = []

    async def scans(servers: Fleet, turn: int) -> None:
        for _ in range(15):
            answer = await scan(servers, tenant, turn, sale.gate, ticket["code"])
            if answer.status == 201:
                admitted.append(answer.json["id"])
            else:
                assert answer.code == "ticket_already_used"
            await asyncio.sleep(chance.uniform(0, 0.01))

    async def undoes(servers: Fleet, turn: int) -> None:
        for _ in range(40):
            if admitted:
                answer = await servers.api(tenant, turn).call("POST", f"/check-ins/{admitted[-1]}/undo", {})
                if answer.status == 200:
                    undone.append(answer.json["id"])
                else:
                    assert answer.code == "check_in_undone"
            await asyncio.sleep(chance.uniform(0, 0.01))

    async with fleet(temula) as servers:
        await asyncio.gather(*(scans(servers, n) for n in range(6)), *(undoes(servers, n) for n in range(3)))
    standing = [row[0] for row in await found(temula.owner_url, STANDING, ticket["id"])]
    assert len(set(undone)) == len(undone) > 1
    assert sorted(admitted) == sorted(undone + standing)
    assert len(standing) <= 1
    entries = "SELECT count(*) FROM facts WHERE type = 'attendee.checked_in' AND data->>'attendee_id' = $1"
    assert await found(temula.owner_url, entries, ticket["attendee_id"]) == [(1,)], "the first entry is told once"
