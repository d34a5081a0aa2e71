"""Key rotation: a new primary key, every sealed value re-wrapped under it in small steps, old keys removed at last.

Interrupted anywhere it can be run again: the ring holds the old keys until nothing hangs on them. Running processes
follow the ring's file; what was sealed with the old key by a transaction that had begun before is waited for.
"""

import importlib
import pkgutil

from rich.progress import Progress

import temula
from temula.kernel import sealing
from temula.kernel.crypto import KeyRing, save_file
from temula.kernel.database import Database
from temula.kernel.errors import Misconfigured
from temula.kernel.sealing import Sealed
from temula.operations.configuration import configure, ring_file
from temula.operations.wiring import opened

BATCH = 500
LOOK_EVERY = 0.1
REASON = "re-wrapping sealed values under a new key"


def columns() -> list[Sealed]:
    """Find every sealed column in the stores that hold them."""
    names = [module.name for module in pkgutil.walk_packages(temula.__path__, "temula.")]
    stores = [importlib.import_module(name) for name in names if name.endswith(".store")]
    return [column for store in stores for column in getattr(store, "SEALED", ())]


async def rotate() -> int:
    """Rotate the ring in its file; give how many values were wrapped anew."""
    configuration = configure()
    if configuration.keys.ring:
        raise Misconfigured("The key ring is set in TEMULA_KEYS_RING; put it into a file to rotate it here.")
    path = ring_file(configuration)
    async with opened(configuration) as house:
        ring = house.ring.with_new_primary()
        save_file(ring, path)
        await _settled(house.database)
        counted = await rewrap(house.database, ring)
    save_file(ring.only_primary(), path)
    return counted


async def rewrap(database: Database, ring: KeyRing) -> int:
    """Wrap every value that hangs on another key than the primary one anew."""
    counted = 0
    with Progress(transient=True) as progress:
        for column in columns():
            async with database.crossing(REASON) as uow:
                total = await sealing.count(uow, ring, column)
            task = progress.add_task(f"{column.table}.{column.column}", total=total)
            done = -1
            while done:
                async with database.crossing(REASON) as uow:
                    done = await sealing.rewrap(uow, ring, column, BATCH)
                progress.advance(task, done)
                counted += done
    return counted


async def _settled(database: Database) -> None:
    """Wait until every transaction that runs now has ended: it may have sealed with the old key already."""
    async with database.crossing(REASON) as uow:
        waiting = await sealing.running(uow)
    while waiting:
        await database.clock.sleep(LOOK_EVERY)
        async with database.crossing(REASON) as uow:
            waiting &= await sealing.running(uow)
