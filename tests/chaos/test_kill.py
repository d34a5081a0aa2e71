"""`kill -9` in the middle of the walk, again and again: nothing acknowledged is lost, and all is delivered."""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.chaos.standing import VICTIMS, Standing
from tests.chaos.walkers import Ledger, Walker
from tests.harness.ground import found
from tests.harness.places import open_folder
from tests.harness.receiver import Receiver
from tests.operations.processes import Programs

ROUNDS = int(os.environ.get("TEMULA_CHAOS_ROUNDS", "20"))
SEED = int(os.environ.get("TEMULA_CHAOS_SEED", "0")) or secrets.randbits(32)
WALKERS = 8
SETTLED_WITHIN = 120.0


async def test_nothing_acknowledged_is_lost_when_processes_are_killed(hooks: Receiver) -> None:
    """API, worker, scheduler, supervisor, PostgreSQL and the stand-in, killed at random under four walkers."""
    print(f"TEMULA_CHAOS_SEED={SEED} TEMULA_CHAOS_ROUNDS={ROUNDS} repeat this run")
    programs = Programs()
    with open_folder() as folder:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as web:
            standing = Standing(programs, folder, web)
            try:
                await _rounds(standing, web, hooks)
            finally:
                await standing.stop()
                await programs.end()


async def _rounds(standing: Standing, web: aiohttp.ClientSession, hooks: Receiver) -> None:
    chance = random.Random(SEED)
    await standing.start()
    api = standing.api()
    await api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
    gate = await api.post("/checkpoints", {"event_id": standing.quickstart["event_id"], "name": "Gate"})
    stop = asyncio.Event()
    walkers = [Walker(standing, web, random.Random(chance.random()), gate["id"]) for _ in range(WALKERS)]
    walking = asyncio.gather(*(walker.walk(stop) for walker in walkers))
    killed: Counter[str] = Counter()
    for _ in range(ROUNDS):
        await asyncio.wait([walking], timeout=chance.uniform(0.05, 1.5))
        assert not walking.done(), walking
        victim = chance.choice(VICTIMS)
        killed[victim] += 1
        await standing.kill(victim)
    stop.set()
    await walking
    walks, slowest = sum(walker.walks for walker in walkers), max(standing.started_in[1:], default=0.0)
    print(f"{walks} walks, killed {dict(killed)}, slowest start {slowest:.1f} s, {len(hooks.arrivals)} arrivals")
    ledger = Ledger({}, set(), {}, {})
    for walker in walkers:
        for whole, part in zip(ledger, walker.ledger, strict=True):
            whole.update(part)
    assert walks >= WALKERS
    await _all_delivered(standing, hooks, ledger)
    await _all_kept(standing, ledger)
    await _money_is_right(standing, ledger)


async def _all_delivered(standing: Standing, hooks: Receiver, ledger: Ledger) -> None:
    """The receiver's ledger: each acknowledged act has its message, all of the log came, and no unknown one did."""
    organization_id = standing.quickstart["organization_id"]
    told = "SELECT id, type FROM facts WHERE organization_id = $1 AND public AND position > $2"
    first = "SELECT min(position) FROM facts WHERE organization_id = $1 AND type = 'registration.created'"
    ((begin,),) = await found(standing.owner_url, first, organization_id)

    async def missing() -> set[str]:
        rows = await found(standing.owner_url, told, organization_id, begin - 1)
        return {one for one, _ in rows} - {arrival.id for arrival in hooks.arrivals}

    async with asyncio.timeout(SETTLED_WITHIN):
        while await missing() or not _acts_told(hooks, ledger):
            await asyncio.sleep(0.2)
    known = {one for one, _ in await found(standing.owner_url, told, organization_id, 0)}
    assert {arrival.id for arrival in hooks.arrivals} <= known


def _acts_told(hooks: Receiver, ledger: Ledger) -> bool:
    def told(kind: str, of: Callable[[dict[str, Any]], str]) -> set[str]:
        return {of(arrival.message["data"]) for arrival in hooks.of(kind)}

    def registration(data: dict[str, Any]) -> str:
        return data["registration_id"]

    refunded = {refund["registration_id"] for refund in ledger.refunds.values()}
    return (
        set(ledger.registrations) <= told("registration.created", registration)
        and ledger.paid <= told("payment.succeeded", registration)
        and set(ledger.check_ins.values()) <= told("check_in.completed", lambda data: data["ticket_id"])
        and refunded <= told("registration.refunded", registration)
    )


async def _all_kept(standing: Standing, ledger: Ledger) -> None:
    """What was acknowledged is there, once, and seats add up."""
    api, event_id = standing.api(), standing.quickstart["event_id"]
    registrations = {one["id"]: one for one in await api.every(f"/registrations?event_id={event_id}", limit=100)}
    assert set(registrations) == set(ledger.registrations), "each key made one registration, and none half"
    check_ins = await api.every(f"/check-ins?event_id={event_id}", limit=100)
    assert {one["id"]: one["ticket_id"] for one in check_ins} == ledger.check_ins
    refunded = {refund["registration_id"] for refund in ledger.refunds.values()}
    for registration_id, shown in registrations.items():
        assert shown["state"] == ("refunded" if registration_id in refunded else "confirmed")
    attendees = await api.every(f"/attendees?event_id={event_id}", limit=100)
    coming = sum(one["state"] in ("pending", "confirmed") for one in attendees)
    (kind,) = await api.every(f"/events/{event_id}/ticket-types")
    assert kind["taken"] == coming <= kind["quota"]


async def _money_is_right(standing: Standing, ledger: Ledger) -> None:
    """The provider's ledger: one charge for each paid registration, one refund for each that was asked back."""
    client, totals = standing.stripe(), Counter[str]()
    intents = [one async for one in (await client.v1.payment_intents.list_async({"limit": 100})).auto_paging_iter()]
    of_intent = {one.id: one.metadata["temula_registration"] for one in intents if one.status == "succeeded"}
    charged = Counter(of_intent.values())
    assert charged == Counter(dict.fromkeys(ledger.paid, 1)), "each was charged once"
    assert all(
        one.amount == ledger.registrations[of_intent[one.id]]["total_amount"] for one in intents if one.id in of_intent
    )
    refunds = [one async for one in (await client.v1.refunds.list_async({"limit": 100})).auto_paging_iter()]
    for refund in refunds:
        assert refund.status == "succeeded"
        totals[of_intent[str(refund.payment_intent)]] += refund.amount
    wanted = {one["registration_id"]: one["amount"] for one in ledger.refunds.values()}
    assert totals == wanted, "each was refunded once"
    assert len(refunds) == len(wanted)
