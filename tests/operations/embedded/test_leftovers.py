"""Whatever the last server left behind, the next one starts, and has what was committed."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from temula.operations.embedded import leftovers
from temula.operations.embedded.owner import of_cluster
from tests.operations.embedded.asking import KEEPER, READ, WRITE, ask
from tests.operations.processes import PATIENCE, lives, sleeper, until


def postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().splitlines()[0])


async def kill_server(server, data: Path) -> None:
    os.kill(postmaster(data), signal.SIGKILL)
    await server.wait()
    await until(lambda: leftovers.servers(data) == [])
    await server.stop()


async def test_killed_server(server, data):
    """Each commit that was acknowledged before `kill -9` of the server is there after the next start."""
    await server.start()
    await ask(server, "DROP TABLE IF EXISTS kept", "CREATE TABLE kept (number int)", "SELECT 1")
    acknowledged: list[int] = []

    async def write() -> None:
        connection = await asyncpg.connect(server.url())
        for number in range(1_000_000):
            await connection.execute("INSERT INTO kept VALUES ($1)", number)
            acknowledged.append(number)

    writing = asyncio.create_task(write())
    await until(lambda: len(acknowledged) > 100)
    await kill_server(server, data)
    await asyncio.wait([writing], timeout=PATIENCE)
    assert writing.exception() is not None

    await server.start()
    kept = await ask(server, "SELECT array_agg(number) FROM kept")
    assert set(acknowledged) <= set(kept)


async def test_killed_parent(programs, server, home, data):
    """The server dies with its parent, even if that is killed; the next start finds the data."""
    keeper = await programs.python(KEEPER, home)
    await ask(await keeper.line("postgresql:"), *WRITE)
    await keeper.kill()
    await until(lambda: leftovers.servers(data) == [])
    await server.start()
    assert await ask(server, READ) == "this"


async def test_killed_parent_at_once(programs, server, home, data):
    """The next start need not wait until the server of a killed parent has ended."""
    keeper = await programs.python(KEEPER, home)
    await ask(await keeper.line("postgresql:"), *WRITE)
    await keeper.kill()
    await server.start()
    assert await ask(server, READ) == "this"


async def test_living_leftover(programs, server, home, data):
    """A server of ours that outlived its parent is ended, not joined and not feared."""
    keeper = await programs.python(KEEPER, home, "untied")
    await ask(await keeper.line("postgresql:"), *WRITE)
    await keeper.kill()
    left = postmaster(data)
    assert left in leftovers.servers(data)
    await server.start()
    assert not lives(left)
    assert postmaster(data) != left
    assert await ask(server, READ) == "this"


async def test_orphans_of_a_killed_server(server, data):
    """Backends that still work after `kill -9` of their server are ended before a new one touches the data."""
    await server.start()
    connection = await asyncpg.connect(server.url())
    busy = asyncio.create_task(connection.fetchval("SELECT count(*) FROM generate_series(1, 100000000000)"))
    orphan = connection.get_server_pid()
    await until(lambda: connection._protocol.is_connected() and lives(orphan))
    os.kill(postmaster(data), signal.SIGKILL)
    await server.wait()
    await server.stop()
    await server.start()
    assert not lives(orphan)
    assert await ask(server, "SELECT 1") == 1
    await asyncio.wait([busy], timeout=PATIENCE)
    assert busy.exception() is not None


async def leave_files_naming(number: int, server, data: Path) -> None:
    """The state after a power cut and a restart in which the old number went to somebody else."""
    sockets = data.parent / "socket"
    for file in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        _, *rest = file.read_text().splitlines()
        file.write_text("\n".join([str(number), *rest]) + "\n")


async def test_number_of_a_stranger(server, data):
    """A postmaster.pid whose number now belongs to somebody else does not stop a start, nor hurt them."""
    await server.start()
    await ask(server, *WRITE)
    await kill_server(server, data)
    # Of the server's own user: of another user's process PostgreSQL itself knows that it is no server.
    stranger = sleeper(of_cluster(data))
    try:
        await leave_files_naming(stranger.pid, server, data)
        await server.start()
        assert await ask(server, READ) == "this"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_number_of_a_zombie(server, data):
    """A zombie that nobody reaps is not taken for a server."""
    await server.start()
    await ask(server, *WRITE)
    await kill_server(server, data)
    zombie = sleeper(of_cluster(data))
    zombie.kill()
    await until(lambda: not lives(zombie.pid))
    try:
        os.kill(zombie.pid, 0)  # what PostgreSQL asks, and is told that it lives
        await leave_files_naming(zombie.pid, server, data)
        await server.start()
        assert await ask(server, READ) == "this"
    finally:
        zombie.wait()


@pytest.mark.parametrize("content", ["", "nonsense\n", "-1\n", "99999999999\n"])
async def test_broken_file(server, data, content):
    """A postmaster.pid that was cut short does not stop a start."""
    await server.start()
    await server.stop()
    (data / "postmaster.pid").write_text(content)
    await server.start()
    assert await ask(server, "SELECT 1") == 1
