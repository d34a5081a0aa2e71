"""Pages over the API, with others writing meanwhile."""

import asyncio
import base64

from tests.harness.house import Running, Tenant


async def test_a_walk_while_rows_are_added(temula: Running, tenant: Tenant) -> None:
    """All pages of a list, read while four writers add to it, show each row of the start once and none twice."""
    sale = await temula.sale(tenant, prices=(0,) * 5)
    types = f"/events/{sale.event['id']}/ticket-types"
    await asyncio.gather(*(tenant.api.post(types, {"name": f"Early {n}", "price": n}) for n in range(35)))
    start = {one["id"] for one in await tenant.api.every(types)}
    assert len(start) == 40
    done = asyncio.Event()

    async def write(writer: int) -> int:
        written = 0
        while not done.is_set():
            await tenant.api.post(types, {"name": f"Late {writer}.{written}", "price": 1})
            written += 1
        return written

    writers = [asyncio.create_task(write(n)) for n in range(4)]
    try:
        walks = [[one["id"] for one in await tenant.api.every(types, limit=limit)] for limit in (1, 3, 7)]
    finally:
        done.set()
        written = sum(await asyncio.gather(*writers))
    assert written > 20
    for met in walks:
        assert len(met) == len(set(met))
        assert start <= set(met)
        assert met == sorted(met, reverse=True)


async def test_cursors_that_do_not_count(temula: Running, tenant: Tenant) -> None:
    """A forged, changed or foreign cursor is a 422 that names it; the right one with another page size is fine."""
    first = await temula.sale(tenant, prices=(0, 0, 0))
    second = await temula.sale(tenant)
    types = f"/events/{first.event['id']}/ticket-types"
    cursor = (await tenant.api.get(f"{types}?limit=1"))["next_cursor"]
    assert len((await tenant.api.get(f"{types}?limit=2&cursor={cursor}"))["data"]) == 2
    own = base64.urlsafe_b64encode(f"{first.types[0]['id']}.00000000".encode()).decode().rstrip("=")
    for url in (
        f"{types}?cursor={own}",
        f"{types}?cursor={cursor[:-1]}",
        f"{types}?cursor=~",
        f"{types}?cursor=%00",
        f"/events?cursor={cursor}",
        f"/events/{second.event['id']}/ticket-types?cursor={cursor}",
    ):
        refused = await tenant.api.call("GET", url)
        assert (refused.status, refused.code) == (422, "invalid_input"), url
        assert refused.json["errors"][0]["pointer"] == "/cursor"
