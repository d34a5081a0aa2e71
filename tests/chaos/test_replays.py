"""Workers that are killed in the middle of a replay: each message is sent, and added once."""

import random
from collections import Counter

from tests.chaos.site import TAKEN_OVER_WITHIN, Site, all_arrived
from tests.harness.ground import found
from tests.harness.house import until
from tests.harness.receiver import Receiver

MANY, KILLS = 4000, 6


async def test_killed_in_the_middle_of_a_replay(site: Site, hooks: Receiver, chance: random.Random) -> None:
    """`kill -9` while a replay counts, adds and sends: nothing is missing, and no message was added twice."""
    await site.tell(MANY)
    api = site.tenant.api
    (first,) = (await api.get("/webhooks/endpoints"))["data"]
    await api.delete(f"/webhooks/endpoints/{first['id']}")
    endpoint = await api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
    asked = {"kind": "missing", "endpoint_id": endpoint["id"], "since": "2020-01-01T00:00:00Z", "rate": None}
    workers = [await site.worker(), await site.worker()]
    made = await api.post("/webhooks/replays", asked)
    for n in range(KILLS):
        enough = n * MANY // (KILLS + 1)
        await until(lambda enough=enough: _has(hooks, enough), TAKEN_OVER_WITHIN)
        await workers.pop(chance.randrange(len(workers))).kill()
        workers.append(await site.worker())
    arrived = await all_arrived(site, hooks)
    assert len(arrived) == MANY

    async def over() -> bool:
        return bool((await api.get(f"/webhooks/replays/{made['id']}"))["finished_at"])

    await until(over, TAKEN_OVER_WITHIN)
    shown = await api.get(f"/webhooks/replays/{made['id']}")
    assert (shown["state"], shown["matched"], shown["added"], shown["delivered"]) == ("done", MANY, MANY, MANY)
    logged = await found(
        site.temula.owner_url, "SELECT message_id, delivery_id FROM webhook_attempts WHERE replay_id = $1", made["id"]
    )
    assert set(Counter(message for message, _ in logged).values()) == {1}, "each was added once, and ended once"


async def _has(hooks: Receiver, number: int) -> bool:
    return len(hooks.arrivals) >= number
