"""`temula keys rotate` on a running Temula with every sealed column filled: nothing is lost, whenever it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
from standardwebhooks import WebhookVerificationError

from temula.kernel.crypto import KeyRing, load, new_ring, save_file
from temula.kernel.sealing import SealedRow
from temula.operations import rotation
from tests.harness import furnished, house
from tests.harness.furnished import Furnished
from tests.harness.house import Running
from tests.harness.postgres import Postgres
from tests.harness.receiver import Arrival, Receiver
from tests.operations.processes import Program, Programs, until

NOBODYS = b"\xff"  # no value begins so
# Columns of bytes that hold no secret, or only what a secret cannot be found from.
UNSEALED = {
    "api_tokens.hash", "sessions.hash", "payment_gateway_configs.callback_token_hash",
    "platform_gateway_configs.callback_token_hash", "idempotency_keys.fingerprint", "audit_heads.hash",
    "audit_entries.previous", "audit_entries.hash", "ticket_keys.key_id", "ticket_keys.public_key", "ticket_papers.pdf",
    "callbacks.body", "webhook_attempts.request_body", "webhook_attempts.response_body",
    "webhook_attempts.response_headers",
}  # fmt: skip


class Sealing(NamedTuple):
    """A running Temula, one of everything in it, and the file of its ring."""

    temula: Running
    one: Furnished
    file: Path
    environ: dict[str, str]

    @property
    def ring(self) -> KeyRing:
        return load(self.file.read_bytes())

    async def opened(self, ring: KeyRing) -> dict[tuple[str, ...], bytes]:
        """Every sealed value of the database, by table, column and key."""
        found = {}
        async with self.temula.house.database.crossing("a test opens what is sealed") as uow:
            for column in rotation.columns():
                for row in await uow.rows(SealedRow, column.read, NOBODYS, 10_000):
                    found[column.table, column.column, *row.key] = ring.open(row.value, row.context)
        return found

    async def rotate(self, programs: Programs) -> Program:
        return await programs.temula("keys", "rotate", **self.environ)


@pytest.fixture
async def sealing(server: Postgres, hooks: Receiver, folder: Path) -> AsyncIterator[Sealing]:
    file = folder / "keys.json"
    save_file(new_ring(), file)
    async with server.database() as url, house.running(url, folder, ring=file) as temula:
        one = await furnished.furnish(temula, await temula.tenant(), hooks)
        await furnished.furnish_platform(temula)
        environ = {"TEMULA_DATABASE_URL": url, "TEMULA_KEYS_FILE": str(file), "TEMULA_DATA_DIR": str(folder)}
        yield Sealing(temula, one, file, environ)


async def test_every_sealed_column_is_known(sealing: Sealing) -> None:
    """Each column of bytes is either rotated or on the list of those that hold no secret; each rotated one has rows."""
    owner = await asyncpg.connect(sealing.temula.owner_url)
    found = await owner.fetch(
        "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND a.atttypid = 'bytea'::regtype AND a.attnum > 0 AND NOT a.attisdropped"
    )
    await owner.close()
    known = {f"{column.table}.{column.column}" for column in rotation.columns()}
    assert {row["name"] for row in found} == known | UNSEALED
    filled = {f"{table}.{column}" for table, column, *_ in await sealing.opened(sealing.ring)}
    assert filled == known


async def test_rotated_while_it_runs(sealing: Sealing, programs: Programs, hooks: Receiver) -> None:
    """Everything opens with the new key alone, what was written meanwhile too; the running processes go on."""
    before, old = await sealing.opened(sealing.ring), sealing.ring
    api, event = sealing.one.tenant.api, sealing.one.ids["event"]
    ended = asyncio.Event()

    async def write() -> list[str]:
        keys: list[str] = []
        while not ended.is_set():
            keys.append(f"during-{len(keys)}")
            await api.post("/webhooks/endpoints", {"url": hooks.url, "event_ids": [event]}, key=keys[-1])
        return keys

    writing = asyncio.create_task(write())
    code, said = await (await sealing.rotate(programs)).rest()
    ended.set()
    keys = await writing
    assert code == 0, said
    assert "keys that nothing needs any more were removed" in said
    ring = sealing.ring
    assert ring.primary != old.primary
    assert load(ring.dump()).only_primary().dump() == ring.dump()
    after = await sealing.opened(ring)
    assert before.items() <= after.items()
    assert len(after) >= len(before) + 2 * len(keys)
    again = await api.call(
        "POST", "/webhooks/endpoints", {"url": hooks.url, "event_ids": [event]}, headers={"Idempotency-Key": keys[0]}
    )
    assert again.headers["idempotent-replayed"] == "true"
    await api.post(f"/events/{event}/archive")

    for secret in (again.json["secret"], sealing.one.secrets["second_webhook_secret"]):
        await house.until(verified_one(hooks, secret))


def verified(arrival: Arrival, secret: str) -> bool:
    try:
        return arrival.verified_by(secret)
    except WebhookVerificationError:
        return False


def verified_one(hooks: Receiver, secret: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return any(verified(arrival, secret) for arrival in hooks.of("event.archived"))

    return look


async def test_stopped_in_the_middle_and_repeated(sealing: Sealing, programs: Programs) -> None:
    """A value that does not open ends it half done: both keys stay, all the others open; mended, it runs to its end."""
    before, old = await sealing.opened(sealing.ring), sealing.ring
    owner = await asyncpg.connect(sealing.temula.owner_url)
    # The wrapped data key stands behind version, name and nonce.
    damage = "UPDATE idempotency_keys SET answer = set_byte(answer, 20, get_byte(answer, 20) # 1) WHERE key = $1"
    key = await owner.fetchval("SELECT key FROM idempotency_keys WHERE answer IS NOT NULL ORDER BY key LIMIT 1")
    await owner.execute(damage, key)
    code, said = await (await sealing.rotate(programs)).rest()
    assert code == 2, said
    assert "does not belong where it was found, or is damaged" in said
    both = sealing.ring
    assert both.primary != old.primary
    async with sealing.temula.house.database.crossing("a test counts what hangs on the new key") as uow:
        left = {one.table: await uow.value(one.left, both.head) for one in rotation.columns()}
    assert left["ticket_keys"] == 0
    assert left["webhook_endpoints"] > 0
    await owner.execute(damage, key)  # twice is undone
    await owner.close()
    assert await sealing.opened(both) == before
    code, said = await (await sealing.rotate(programs)).rest()
    assert code == 0, said
    assert await sealing.opened(sealing.ring.only_primary()) == before


async def test_killed_and_repeated(sealing: Sealing, programs: Programs) -> None:
    """`kill -9` as soon as the new key is in the file, again and again: whatever is in the database still opens."""
    before = await sealing.opened(sealing.ring)
    for _ in range(3):
        held, running = sealing.file.read_bytes(), await sealing.rotate(programs)
        await until(lambda held=held: sealing.file.read_bytes() != held)
        await running.kill()
        assert await sealing.opened(sealing.ring) == before
    code, said = await (await sealing.rotate(programs)).rest()
    assert code == 0, said
    ring = sealing.ring
    assert ring.dump() == ring.only_primary().dump()
    assert await sealing.opened(ring) == before


async def test_a_ring_in_the_environment_is_not_rotated(sealing: Sealing, programs: Programs) -> None:
    """There is no file to write the new key to: it says what to do and changes nothing."""
    held = sealing.file.read_bytes()
    ring = {"TEMULA_KEYS_RING": sealing.ring.dump().decode()}
    code, said = await (await programs.temula("keys", "rotate", **sealing.environ, **ring)).rest()
    assert code == 2
    assert "put it into a file" in said
    assert sealing.file.read_bytes() == held
