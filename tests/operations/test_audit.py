"""The audit log: a chain each organization, insert-only, in which every act is found and no change stays hidden."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel import audit
from temula.kernel.audit import StoredEntry
from temula.kernel.database import Database
from temula.kernel.ids import OrganizationId
from temula.kernel.tenancy import Actor, system
from temula.operations import auditing, migrations
from tests.operations.processes import Programs

LENGTH = 12


@pytest.fixture
async def actor(database: Database) -> Actor:
    """An organization with a chain of twelve entries: its creation and eleven acts."""
    _, made = await organizations.create_twins(database, name="Audited", plan=Plan.PRO, part="test")
    acting = system("test", made.organization_id)
    for n in range(LENGTH - 1):
        async with database.unit(acting) as uow:
            uow.audit("thing.change", f"thing_{n}", {"n": n} if n % 2 else None)
    return acting


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()


async def broken_at(database: Database, organization_id: OrganizationId) -> int | None:
    chains = {chain.organization_id: chain for chain in await auditing.verify(database)}
    return chains[organization_id].broken_at


async def test_a_chain_verifies(database: Database, actor: Actor) -> None:
    """Every entry that was written, in its order, holds."""
    chains = await auditing.verify(database)
    assert len(chains) == 2
    assert {chain.organization_id: (chain.entries, chain.broken_at) for chain in chains}[actor.organization_id] == (
        LENGTH,
        None,
    )


CHANGES = {
    "actor_id": "'other'", "actor_kind": "'user'", "action": "'thing.delete'", "target": "target || 'x'",
    "at": "at + interval '1 microsecond'", "changes": "'{}'", "id": "'aud_x'", "hash": "sha256(hash)",
    "previous": "sha256(previous)", "sequence": "1000",
}  # fmt: skip


@pytest.mark.parametrize("column", CHANGES)
async def test_a_changed_row_is_found(database: Database, actor: Actor, owner: asyncpg.Connection, column: str) -> None:
    """Whatever is changed of an entry, by somebody with all rights, the chain breaks at its place."""
    change = f"UPDATE audit_entries SET {column} = {CHANGES[column]} WHERE organization_id = $1 AND sequence = 5"
    assert await owner.execute(change, actor.organization_id) == "UPDATE 1"
    assert await broken_at(database, actor.organization_id) == 5


async def test_a_row_moved_between_fields_is_found(database: Database, actor: Actor, owner: asyncpg.Connection) -> None:
    """Text that moves from one field into the next changes the entry, though all its text is still there."""
    move = (
        "UPDATE audit_entries SET action = action || E'\\x1f' || target, target = '' "
        "WHERE organization_id = $1 AND sequence = 5"
    )
    assert await owner.execute(move, actor.organization_id) == "UPDATE 1"
    assert await broken_at(database, actor.organization_id) == 5


@pytest.mark.parametrize("sequence", [1, 5, LENGTH])
async def test_a_removed_row_is_found(
    database: Database, actor: Actor, owner: asyncpg.Connection, sequence: int
) -> None:
    """At the beginning, in the middle and at the end: the head knows how long the chain is."""
    await owner.execute(
        "DELETE FROM audit_entries WHERE organization_id = $1 AND sequence = $2", actor.organization_id, sequence
    )
    assert await broken_at(database, actor.organization_id) == sequence


async def test_a_removed_head_is_found(database: Database, actor: Actor, owner: asyncpg.Connection) -> None:
    """Entries without a head are not out of sight."""
    await owner.execute("DELETE FROM audit_heads WHERE organization_id = $1", actor.organization_id)
    assert await broken_at(database, actor.organization_id) == 1


async def test_a_rewritten_end_is_found(database: Database, actor: Actor, owner: asyncpg.Connection) -> None:
    """A last entry that was replaced by one with a hash that fits is not what the head says."""
    last = "SELECT * FROM audit_entries WHERE organization_id = $1 ORDER BY sequence DESC LIMIT 1"
    kept = dict(await owner.fetchrow(last, actor.organization_id))
    changes = kept["changes"].encode() if kept["changes"] is not None else None
    forged = StoredEntry(**{**kept, "changes": changes, "action": "nothing.happened"})
    rewrite = "UPDATE audit_entries SET action = $3, hash = $4 WHERE organization_id = $1 AND sequence = $2"
    fitting = audit.digest(forged.previous, forged)
    await owner.execute(rewrite, actor.organization_id, LENGTH, "nothing.happened", fitting)
    assert await broken_at(database, actor.organization_id) == LENGTH


async def test_all_rows_removed_are_found(database: Database, actor: Actor, owner: asyncpg.Connection) -> None:
    """An empty chain with a head is broken at its first entry."""
    await owner.execute("DELETE FROM audit_entries WHERE organization_id = $1", actor.organization_id)
    assert await broken_at(database, actor.organization_id) == 1


async def test_reordered_rows_are_found(database: Database, actor: Actor, owner: asyncpg.Connection) -> None:
    """Two entries that have changed places break the chain at the first of them."""
    swap = (
        "UPDATE audit_entries SET sequence = CASE sequence WHEN 4 THEN 1007 WHEN 7 THEN 1004 END "
        "WHERE organization_id = $1 AND sequence IN (4, 7)"
    )
    await owner.execute(swap, actor.organization_id)
    back = "UPDATE audit_entries SET sequence = sequence - 1000 WHERE organization_id = $1 AND sequence > 1000"
    await owner.execute(back, actor.organization_id)
    assert await broken_at(database, actor.organization_id) == 4


async def test_an_inserted_row_is_found(database: Database, actor: Actor, owner: asyncpg.Connection) -> None:
    """An entry slipped in later, the others moved up to make room, breaks the chain at its place."""
    await owner.execute("ALTER TABLE audit_entries DISABLE TRIGGER chain")
    names = "id, at, actor_kind, actor_id, action, target, changes, previous, hash"
    for step in ("sequence + 1000", "sequence - 999"):
        move = f"UPDATE audit_entries SET sequence = {step} WHERE organization_id = $1 AND sequence > 5"
        await owner.execute(move, actor.organization_id)
    forged = (
        f"INSERT INTO audit_entries (organization_id, sequence, {names}) "
        f"SELECT organization_id, 6, {names} FROM audit_entries WHERE organization_id = $1 AND sequence = 5"
    )
    await owner.execute(forged, actor.organization_id)
    assert await broken_at(database, actor.organization_id) == 6


@pytest.mark.parametrize("table", ["audit_entries", "audit_heads"])
@pytest.mark.parametrize("act", ["UPDATE {} SET hash = ''", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_application_can_only_add(actor: Actor, owner: asyncpg.Connection, table: str, act: str) -> None:
    """Neither in its organization nor across all of them can it touch what was written."""
    for role in (migrations.APP, migrations.CROSSING):
        await owner.execute(f"SET ROLE {role}")
        await owner.execute("SELECT set_config('temula.organization', $1, false)", actor.organization_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(act.format(table))


async def test_what_the_application_says_of_the_chain_does_not_count(
    database: Database, actor: Actor, owner: asyncpg.Connection
) -> None:
    """Sequence and hashes are the database's to compute: those that somebody sends along are thrown away."""
    await owner.execute(f"SET ROLE {migrations.APP}")
    await owner.execute("SELECT set_config('temula.organization', $1, false)", actor.organization_id)
    await owner.execute(
        "INSERT INTO audit_entries (organization_id, sequence, id, at, actor_kind, actor_id, action, target, previous, "
        "hash) VALUES ($1, 3, 'aud_forged', now(), 'user', 'x', 'a.b', 't', 'forged', 'forged')",
        actor.organization_id,
    )
    assert await broken_at(database, actor.organization_id) is None
    forged = "SELECT sequence FROM audit_entries WHERE id = 'aud_forged'"
    assert await owner.fetchval(forged) == LENGTH + 1


async def test_many_writers_keep_one_chain(database: Database, actor: Actor) -> None:
    """Eight writers at once, some of which change their mind, leave one chain without a gap."""

    async def write(writer: int) -> None:
        for n in range(10):
            with suppress(LookupError):
                async with database.unit(actor) as uow:
                    uow.audit("thing.change", f"thing_{writer}_{n}")
                    uow.audit("thing.change", f"thing_{writer}_{n}_again")
                    if n % 3 == 0:
                        raise LookupError("it changes its mind")

    await asyncio.gather(*(write(writer) for writer in range(8)))
    chains = {chain.organization_id: chain for chain in await auditing.verify(database)}
    assert chains[actor.organization_id].broken_at is None
    assert chains[actor.organization_id].entries == LENGTH + 8 * 6 * 2


async def test_the_command_says_where(
    actor: Actor,
    owner: asyncpg.Connection,
    owner_url: str,
    programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """`temula audit verify` ends with 0 while all chains hold, with 1 naming the place of the first break."""
    folder = tmp_path_factory.mktemp("audit")
    environ = {"TEMULA_DATABASE_URL": owner_url, "TEMULA_DATA_DIR": str(folder)}
    ring = await (await programs.temula("keys", "new", **environ)).rest()
    environ["TEMULA_KEYS_RING"] = ring[1]
    code, said = await (await programs.temula("audit", "verify", **environ)).rest()
    assert (code, said.strip()) == (0, f"2 chains, {LENGTH + 1} entries, 0 broken")
    change = "UPDATE audit_entries SET action = 'nothing.happened' WHERE organization_id = $1 AND sequence = 7"
    await owner.execute(change, actor.organization_id)
    code, said = await (await programs.temula("audit", "verify", **environ)).rest()
    assert code == 1
    assert f"{actor.organization_id}: broken at entry 7" in said
    assert "1 broken" in said


@given(acts=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=3), data=st.data())
def test_any_mutation_of_a_chain_is_found(acts: list[tuple[str, str]], data: st.DataObject) -> None:
    """Edited, deleted, swapped or inserted at random: the break is at the place of the first difference."""
    chain = chained(acts)
    assert audit.first_break(chain, b"", 0) is None
    place = data.draw(st.integers(0, len(chain) - 2))
    other = data.draw(st.integers(place + 1, len(chain) - 1))
    edited = msgspec.structs.replace(chain[place], target=chain[place].target + "x")
    swapped = [*chain[:place], chain[other], *chain[place + 1 : other], chain[place], *chain[other + 1 :]]
    for mutated in (
        [*chain[:place], edited, *chain[place + 1 :]],
        [*chain[:place], *chain[place + 1 :]],
        [*chain[:place], chain[other], *chain[place:]],
        swapped,
    ):
        assert audit.first_break(mutated, b"", 0) == place + 1


def chained(acts: list[tuple[str, str]]) -> list[StoredEntry]:
    made: list[StoredEntry] = []
    for n, (action, target) in enumerate(acts, start=1):
        previous = made[-1].hash if made else b""
        at = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(seconds=n)
        bare = StoredEntry("org_1", n, f"aud_{n}", at, "user", "me", action, target, b"{}", previous, b"")
        made.append(msgspec.structs.replace(bare, hash=audit.digest(previous, bare)))
    return made
