"""The network between worker, API, PostgreSQL and receiver is slow, torn or silent: nothing is lost, and it heals."""

import asyncio
import random
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.chaos.proxy import FAULTS, Proxy, between
from tests.chaos.site import Site, again, all_arrived
from tests.harness.api import Answer, Api
from tests.harness.fleet import ready
from tests.harness.house import until
from tests.harness.receiver import Receiver

EACH = 30
LASTS = 1.0
HEALED_WITHIN = 10.0
TOLD_WITHIN = 10.0
IN_HAND = 64
AT_THE_RECEIVER = ("latency", "swallowed", "reset", "cut in the middle", "refused", "half closed")
EVENT = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


def postgres_of(url: str) -> str:
    """The socket of a server that only has one."""
    return f"{parse_qs(urlsplit(url).query)['host'][0]}/.s.PGSQL.5432"


def through(proxy: Proxy, url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}{urlsplit(url).path}"


async def test_between_a_worker_and_postgresql(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """Whatever the way does, what is told meanwhile arrives soon after it has healed, in the same process."""
    url = site.temula.owner_url
    async with between(postgres_of(url), chance) as proxy:
        worker = await site.worker(TEMULA_DATABASE_URL=through(proxy, url))
        await site.tell(EACH)
        await all_arrived(site, hooks)
        for fault in FAULTS:
            await site.tell(EACH)
            proxy.break_(fault)
            await site.tell(EACH)
            await asyncio.sleep(LASTS)
            proxy.heal()
            began = time.monotonic()
            arrived = await all_arrived(site, hooks, HEALED_WITHIN)
            print(f"{fault.name}: healed within {time.monotonic() - began:.1f} s, {again(arrived)} again so far")
        assert worker.process.returncode is None
    assert again(arrived) <= len(FAULTS) * IN_HAND
    assert await site.ended() == [(len(arrived), len(arrived))]


async def test_between_an_api_and_postgresql(site: Site, chance: random.Random) -> None:
    """Each caller is told in time: it is done, or it is to be repeated; what was acknowledged is there, once."""
    url, acknowledged = site.temula.owner_url, []
    async with between(postgres_of(url), chance) as proxy, aiohttp.ClientSession() as web:
        program, base_url = await site.api(TEMULA_DATABASE_URL=through(proxy, url))
        await until(lambda: ready(web, base_url))
        api = Api(web, base_url, site.tenant.token)
        for fault in FAULTS:
            proxy.break_(fault)
            began = time.monotonic()
            calling = asyncio.gather(*(_told(api, f"{fault.name}-{n}") for n in range(4)))
            await asyncio.sleep(LASTS)
            proxy.heal()
            healed = time.monotonic()
            answers = await calling
            slowest = time.monotonic() - began
            # Under the same keys: what was done is not done again.
            acknowledged += await asyncio.gather(*(_made(api, f"{fault.name}-{n}") for n in range(4)))
            print(f"{fault.name}: {sorted(one.status for one in answers)} within {slowest:.1f} s, "
                  f"healed within {time.monotonic() - healed:.1f} s")  # fmt: skip
        assert program.process.returncode is None
    kept = [one["id"] for one in await site.tenant.api.every("/events", limit=100)]
    assert sorted(kept) == sorted(acknowledged)


async def test_between_a_worker_and_a_receiver(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """What the way to the receiver swallows or tears is tried again; what arrived and was not answered comes again."""
    host, port = urlsplit(hooks.url).netloc.split(":")
    (endpoint,) = await site.tenant.api.every("/webhooks/endpoints")
    path = f"/webhooks/endpoints/{endpoint['id']}"
    async with between((host, int(port)), chance) as proxy:
        await site.tenant.api.patch(path, {"url": f"http://127.0.0.1:{proxy.port}/hooks"})
        worker = await site.worker()
        for fault in FAULTS:
            if fault.name in AT_THE_RECEIVER:
                proxy.break_(fault)
                await site.tell(EACH // 3)
                await asyncio.sleep(LASTS)
                proxy.heal()
        arrived = await _all_hurried(site, hooks, path)
        print(f"{len(arrived)} messages, {again(arrived)} arrived again")
        assert worker.process.returncode is None
    assert await site.ended() == [(len(arrived), len(arrived))]


async def _all_hurried(site: Site, hooks: Receiver, path: str) -> Counter[str]:
    """An owner who knows that all is well again need not wait for the schedule."""
    waiting = asyncio.create_task(all_arrived(site, hooks))
    while not waiting.done():
        await site.tenant.api.patch(path, {"state": "paused"})
        await site.tenant.api.patch(path, {"state": "enabled"})
        await asyncio.wait([waiting], timeout=1.5)
    return await waiting


async def _told(api: Api, key: str) -> Answer:
    async with asyncio.timeout(TOLD_WITHIN):
        answer = await api.call("POST", "/events", EVENT, headers={"Idempotency-Key": key})
    assert answer.status == 201 or (answer.status == 503 and int(answer.headers["retry-after"]) > 0), answer
    return answer


async def _made(api: Api, key: str) -> str:
    async def made() -> str | None:
        answer = await api.call("POST", "/events", EVENT, headers={"Idempotency-Key": key})
        assert answer.status in {201, 503} or answer.code == "still_running", answer
        return answer.json["id"] if answer.status == 201 else None

    return str(await until(made, HEALED_WITHIN))
