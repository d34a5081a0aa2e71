"""A Temula whose workers and APIs are processes of their own, an endpoint at the receiver, and what was told to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temula.kernel.crypto import new_ring
from temula.kernel.facts import Fact
from tests.harness import house
from tests.harness.ground import found
from tests.harness.house import Running, Tenant, free_port, until
from tests.harness.places import open_folder
from tests.harness.receiver import Receiver
from tests.operations.processes import Program, Programs

TAKEN_OVER_WITHIN = 60.0


class Changed(Fact, frozen=True, kw_only=True):
    """What is told in these tests."""

    TYPE = "event.updated"
    n: int


class Site:
    """`worker` and `api` start processes; `tell` writes facts, which are the ledger of what has to arrive."""

    def __init__(self, temula: Running, tenant: Tenant, programs: Programs, environ: dict[str, str]) -> None:
        self.temula, self.tenant, self._programs, self._environ = temula, tenant, programs, environ

    async def worker(self, **environ: str) -> Program:
        """One that reaches the database in its own way if `environ` says so."""
        return await self._programs.temula("worker", **{**self._environ, **environ})

    async def api(self, port: int | None = None, **environ: str) -> tuple[Program, str]:
        """An API process and its address; it may not answer yet."""
        port = port or free_port()
        more = {"TEMULA_SERVER_PORT": str(port), "TEMULA_SERVER_PUBLIC_URL": self.temula.base_url}
        return await self._programs.temula("api", **{**self._environ, **more, **environ}), f"http://localhost:{port}"

    async def python(self, program: str, *arguments: object, **environ: str) -> Program:
        return await self._programs.python(program, *arguments, **{**self._environ, **environ})

    async def tell(self, number: int) -> None:
        async with self.temula.house.database.unit(self.tenant.actor) as uow:
            for n in range(number):
                uow.tell(Changed(n=n))

    async def ids(self) -> set[str]:
        """All messages of the organization; `endpoint.*` are for endpoints that name them."""
        query = "SELECT id FROM facts WHERE organization_id = $1 AND public AND type NOT LIKE 'endpoint.%'"
        return {one for (one,) in await found(self.temula.owner_url, query, self.tenant.id)}

    async def waiting(self) -> int:
        ((number,),) = await found(self.temula.owner_url, "SELECT count(*) FROM webhook_deliveries")
        return number

    async def ended(self) -> list[tuple]:
        """How many ends of deliveries are logged, and of how many deliveries."""
        query = "SELECT count(*), count(DISTINCT delivery_id) FROM webhook_attempts WHERE outcome <> 'retried'"
        return await found(self.temula.owner_url, query)


@asynccontextmanager
async def site_on(url: str, hooks: Receiver) -> AsyncIterator[Site]:
    """On a migrated database; the API of this process is there, and no worker yet."""
    programs = Programs()
    with open_folder() as folder:
        ring = folder / "keys.json"
        ring.write_bytes(new_ring().dump())
        ring.chmod(0o600)
        async with house.running(url, Path(folder), worker=False, ring=ring) as temula:
            tenant = await temula.tenant(connected=False)
            await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
            environ = {
                "TEMULA_DATABASE_URL": url, "TEMULA_KEYS_FILE": str(ring), "TEMULA_DATA_DIR": str(folder),
                "TEMULA_LOG_LEVEL": "warning",
            }  # fmt: skip
            try:
                yield Site(temula, tenant, programs, environ)
            finally:
                await programs.end()


async def all_arrived(site: Site, hooks: Receiver, patience: float = TAKEN_OVER_WITHIN) -> Counter[str]:
    """Wait until every message is there and nothing waits; gives how often each came."""

    async def look() -> bool:
        return await site.ids() <= {one.id for one in hooks.arrivals} and not await site.waiting()

    await until(look, patience)
    arrived = Counter(one.id for one in hooks.arrivals)
    assert set(arrived) == await site.ids(), "nothing that was not told"
    return arrived


def again(arrived: Counter[str]) -> int:
    """How many came more than once, each time counted."""
    return arrived.total() - len(arrived)


async def have_come(hooks: Receiver, number: int, patience: float = TAKEN_OVER_WITHIN) -> None:
    async with asyncio.timeout(patience):
        while len(hooks.arrivals) < number:
            await asyncio.sleep(0.002)
