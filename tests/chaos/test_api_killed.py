"""API processes that are killed or replaced under load, with webhooks on: what was acknowledged is told, once."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from typing import Any

import aiohttp

from tests.chaos.site import Site, again, all_arrived
from tests.harness.api import Api
from tests.harness.fleet import ready
from tests.harness.house import until
from tests.harness.receiver import Receiver
from tests.operations.processes import Program

ROUNDS = int(os.environ.get("TEMULA_CHAOS_ROUNDS", "5"))
ROLLS = 2
CALLERS, PAUSE = 4, 0.05
ENDED_WITHIN = 25.0
EVENT = {"name": "E", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


class Node:
    """An API at an address that stays, in one process after another."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._program: Program | None = None
        self.port: int | None = None
        self.base_url = ""

    async def start(self, web: aiohttp.ClientSession) -> None:
        self._program, self.base_url = await self._site.api(self.port)
        self.port = int(self.base_url.rpartition(":")[2])
        await until(lambda: ready(web, self.base_url))

    async def kill(self) -> None:
        assert self._program is not None
        await self._program.kill()

    async def end(self) -> None:
        assert self._program is not None
        await ended(self._program)


async def ended(program: Program) -> None:
    """SIGTERM: it finishes what it does and goes."""
    program.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(ENDED_WITHIN):
        assert await program.process.wait() == 0


class Publisher:
    """Publishes events, each step under a key that it repeats until it is told; its ledger is what it was."""

    def __init__(self, site: Site, nodes: list[Node], name: str, chance: random.Random) -> None:
        self.acknowledged: list[str] = []
        self.refused: Counter[str] = Counter()
        self.cut = 0
        self._site, self._nodes, self._name, self._chance = site, nodes, name, chance

    async def publish(self, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as web:
            number = 0
            while not stop.is_set():
                number += 1
                key = f"{self._name}-{number}"
                event_id = (await self._told(web, "/events", EVENT, key))["id"]
                await self._told(web, f"/events/{event_id}/publish", {}, f"{key}-publish")
                self.acknowledged.append(event_id)
                await asyncio.sleep(PAUSE)

    async def _told(self, web: aiohttp.ClientSession, path: str, body: dict[str, Any], key: str) -> Any:
        while True:
            node = self._chance.choice(self._nodes)
            api = Api(web, node.base_url, self._site.tenant.token)
            try:
                answer = await api.call("POST", path, body, headers={"Idempotency-Key": key})
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.005)  # the node is not there: as behind a balancer, the next
            except (aiohttp.ClientError, ConnectionError):
                self.cut += 1
                await asyncio.sleep(0.01)
            else:
                if answer.status < 300:
                    return answer.json
                self.refused[str(answer.code)] += 1
                assert answer.status == 503 or answer.code == "still_running", answer
                await asyncio.sleep(0.05)


async def test_apis_are_killed(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """`kill -9` during writes: each acknowledged one is there and told; a key makes one, and none is half there."""
    workers = [await site.worker(), await site.worker()]
    nodes = [Node(site), Node(site)]
    async with aiohttp.ClientSession() as web:
        await asyncio.gather(*(node.start(web) for node in nodes))
        publishers, stop, publishing = _set_off(site, nodes, chance)
        for _ in range(ROUNDS):
            await asyncio.wait([publishing], timeout=chance.uniform(0.1, 0.6))
            assert not publishing.done(), publishing
            victim = chance.choice(nodes)
            await victim.kill()
            await victim.start(web)
        stop.set()
        await publishing
    await _all_told_once(site, hooks, publishers)
    print(f"{ROUNDS} killed, {sum(one.cut for one in publishers)} requests cut")
    assert all(worker.process.returncode is None for worker in workers)


async def test_all_is_replaced_while_it_runs(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """A rolling restart: no caller is refused, no message is lost, none is sent twice, and each ends in time."""
    hooks.pauses["/hooks"] = 0.2  # so that some are under way at each moment
    workers = [await site.worker(), await site.worker()]
    nodes = [Node(site), Node(site)]
    slowest = 0.0
    async with aiohttp.ClientSession() as web:
        await asyncio.gather(*(node.start(web) for node in nodes))
        publishers, stop, publishing = _set_off(site, nodes, chance)
        for n in range(2 * ROLLS):
            await asyncio.wait([publishing], timeout=chance.uniform(0.2, 0.6))
            assert not publishing.done(), publishing
            began = time.monotonic()
            await asyncio.gather(nodes[n % 2].end(), ended(workers[n % 2]))
            slowest = max(slowest, time.monotonic() - began)
            workers[n % 2] = await site.worker()
            await nodes[n % 2].start(web)
        stop.set()
        await publishing
    arrived = await _all_told_once(site, hooks, publishers)
    # A connection that was waiting to be let in when the door closed is reset, and goes to the next node.
    cut = sum(one.cut for one in publishers)
    print(f"{2 * ROLLS} of each replaced, the slowest ended within {slowest:.1f} s; {cut} connections not let in")
    assert not any(one.refused for one in publishers)
    assert again(arrived) == 0


def _set_off(
    site: Site, nodes: list[Node], chance: random.Random
) -> tuple[list[Publisher], asyncio.Event, asyncio.Future[Any]]:
    stop = asyncio.Event()
    publishers = [Publisher(site, nodes, f"publisher-{n}", random.Random(chance.random())) for n in range(CALLERS)]
    return publishers, stop, asyncio.gather(*(publisher.publish(stop) for publisher in publishers))


async def _all_told_once(site: Site, hooks: Receiver, publishers: list[Publisher]) -> Counter[str]:
    acknowledged = [one for publisher in publishers for one in publisher.acknowledged]
    kept = [one["id"] for one in await site.tenant.api.every("/events", limit=100)]
    assert sorted(kept) == sorted(acknowledged), "each key made one event, and none is there but those"
    arrived = await all_arrived(site, hooks)
    told = {one.id: one.message["data"]["event_id"] for one in hooks.of("event.published")}
    assert sorted(told.values()) == sorted(acknowledged)
    print(f"{len(acknowledged)} acknowledged, {len(arrived)} messages, {again(arrived)} arrived again")
    return arrived
