"""The key ring at the start of `temula up`: made for a new database, and compared with one that has been used.

A ring that is lost or belongs to another database is found here, before anybody sells a ticket with it.
"""

from pathlib import Path

from temula.kernel.crypto import KeyRing, Unopenable, new_ring, save_file
from temula.kernel.database import Database
from temula.kernel.errors import Misconfigured
from temula.kernel.sealing import SealedRow
from temula.operations.configuration import Configuration, key_ring, owner_url, ring_file

NOBODYS_HEAD = b"\xff"  # no value begins so: every value hangs on another key than this
REASON = "comparing the key ring with what it sealed"


async def ensure(configuration: Configuration) -> Path | None:
    """Make sure that there is a key ring for the migrated database; give the file of one that was made just now."""
    file = ring_file(configuration)
    if configuration.keys.ring or file.exists():
        ring = key_ring(configuration)
        # The embedded database and its ring lie in one folder; any other database may have got the wrong one.
        if configuration.database.url:
            _require_fit(ring, await _some_sealed(configuration), file)
        return None
    if configuration.server.production:
        raise Misconfigured(
            f"No key ring at {file}: run `temula keys new > {file}`, chmod it to 600, and keep a copy; without it "
            "stored secrets are lost."
        )
    if await _some_sealed(configuration):
        raise Misconfigured(
            f"The database holds secrets that were sealed with a key ring, and there is none at {file}. Put that key "
            "ring there, or name it in TEMULA_KEYS_FILE; a new one could not open them."
        )
    save_file(new_ring(), file)
    return file


def _require_fit(ring: KeyRing, rows: list[SealedRow], file: Path) -> None:
    try:
        for row in rows:
            ring.open(row.value, row.context)
    except Unopenable as error:
        raise Misconfigured(
            f"The key ring (TEMULA_KEYS_RING, or {file}) does not open what the database holds: {error.detail} Is it "
            "the ring of another database?"
        ) from None


async def _some_sealed(configuration: Configuration) -> list[SealedRow]:
    """Read one value of each sealed column."""
    from temula.operations import rotation  # nearly all of Temula, and seldom needed

    database = Database(configuration.database.app_url or owner_url(configuration), size=2)
    await database.open()
    try:
        async with database.crossing(REASON) as uow:
            found = [await uow.rows(SealedRow, column.read, NOBODYS_HEAD, 1) for column in rotation.columns()]
    finally:
        await database.close()
    return [row for rows in found for row in rows]
