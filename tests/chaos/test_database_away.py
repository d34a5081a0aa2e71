"""PostgreSQL is slow, away, or comes back: callers are told to repeat, and what was acknowledged is there."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from temula.kernel import database
from temula.operations import migrations
from temula.operations.embedded import EmbeddedPostgres
from tests.harness import house
from tests.harness.api import Answer
from tests.harness.ground import found
from tests.harness.house import Running, Sale, Tenant, until

TOLD_IN_TIME = 8.0


def wish(sale: Sale) -> dict[str, Any]:
    return {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"},
            "attendees": [{"ticket_type_id": sale.types[0]["id"]}]}  # fmt: skip


def assert_told_to_repeat(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
async def test_what_takes_the_database_too_long_is_told_to_repeat(
    owner_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """A row that somebody else holds: 503 with Retry-After instead of a hanging gate, and nothing of it is kept."""
    monkeypatch.setitem(database.SESSION, limit, "300ms")
    async with house.running(owner_url, tmp_path) as temula:
        tenant = await temula.tenant()
        sale = await temula.sale(tenant, prices=(0,))
        holding = asyncio.Event()

        async def hold() -> None:
            connection = await asyncpg.connect(owner_url)
            async with connection.transaction():
                await connection.execute("SELECT FROM ticket_types FOR UPDATE")
                await holding.wait()
            await connection.close()

        task = asyncio.create_task(hold())
        await until(lambda: _locked(owner_url))
        key = {"Idempotency-Key": "once"}
        answer = await tenant.api.call("POST", "/registrations", wish(sale), headers=key)
        assert_told_to_repeat(answer)
        holding.set()
        await task
        assert await tenant.api.every("/registrations") == []
        assert (await tenant.api.call("POST", "/registrations", wish(sale), headers=key)).status == 201
        assert len(await tenant.api.every("/registrations")) == 1


async def _locked(owner_url: str) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE relation = 'ticket_types'::regclass AND mode = 'RowShareLock'"
    return await found(owner_url, query) != [(0,)]


class Caller:
    """Registers again and again, each time under a key of its own; its ledger is what it was told."""

    def __init__(self, tenant: Tenant, sale: Sale) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[Answer] = []
        self._tenant, self._sale = tenant, sale

    async def call(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            async with asyncio.timeout(TOLD_IN_TIME):
                answer = await self._tenant.api.call(
                    "POST", "/registrations", wish(self._sale), headers={"Idempotency-Key": f"{id(self)}-{number}"}
                )
            if answer.status == 201:
                self.acknowledged.append(answer.json["id"])
            else:
                self.refused.append(answer)
                await asyncio.sleep(0.02)


async def test_the_database_is_restarted_under_load(tmp_path: Path) -> None:
    """503 while it is away, 200 afterwards, in the same processes; what was acknowledged is there, once."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    try:
        await migrations.apply(server.url())
        async with house.running(server.url(), tmp_path / "house") as temula:
            tenant = await temula.tenant()
            sale = await temula.sale(tenant, prices=(0,), quota=None)
            await _restart_under_load(server, temula, tenant, sale)
    finally:
        await server.stop()


async def _restart_under_load(server: EmbeddedPostgres, temula: Running, tenant: Tenant, sale: Sale) -> None:
    callers, stop = [Caller(tenant, sale) for _ in range(4)], asyncio.Event()
    calling = [asyncio.create_task(caller.call(stop)) for caller in callers]

    async def each_has(more: dict[Caller, int]) -> bool:
        return all(len(caller.acknowledged) >= more[caller] for caller in callers)

    for _ in range(2):
        now = {caller: len(caller.acknowledged) + 3 for caller in callers}
        await until(lambda now=now: each_has(now))
        await server.stop()
        refused = {caller: len(caller.refused) for caller in callers}
        await until(lambda refused=refused: _refused_again(callers, refused))
        assert (await tenant.api.call("GET", "//readyz")).status == 503
        assert (await tenant.api.call("GET", "//livez")).status == 200
        await server.start()
        again = {caller: len(caller.acknowledged) + 3 for caller in callers}
        await until(lambda again=again: each_has(again))
    stop.set()
    await asyncio.gather(*calling)
    for caller in callers:
        assert caller.refused
        for answer in caller.refused:
            assert_told_to_repeat(answer)
    acknowledged = [one for caller in callers for one in caller.acknowledged]
    kept = [one["id"] for one in await tenant.api.every("/registrations", limit=100)]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))

    async def issued() -> bool:
        tickets = await tenant.api.every(f"/tickets?event_id={sale.event['id']}", limit=100)
        return len(tickets) == len(kept)

    await until(issued, patience=60)  # the worker's loops are at work again too
    assert temula.house.database is not None


async def _refused_again(callers: list[Caller], before: dict[Caller, int]) -> bool:
    return all(len(caller.refused) > before[caller] + 2 for caller in callers)
