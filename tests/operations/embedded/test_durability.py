"""Nothing runs on a server that may forget what it has acknowledged."""

import asyncpg
import pytest

from temula.kernel.crypto import new_ring, save_file
from temula.kernel.errors import Misconfigured, Unavailable
from temula.operations import migrations
from temula.operations.embedded.server import OPTIONS


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_refused(server, monkeypatch, setting):
    """Migrations refuse a server on which a durability setting is off, and say which and why."""
    monkeypatch.setitem(OPTIONS, setting, "off")
    await server.start()
    with pytest.raises(Misconfigured, match=f"PostgreSQL has {setting} = off: after a crash it would lose"):
        await migrations.apply(server.url())


async def test_accepted(server):
    """Migrations accept the server that we run."""
    await server.start()
    assert await migrations.apply(server.url(), dry_run=True) == [one.name for one in migrations.available()]


async def test_no_server(server, data):
    """Where nobody answers, the message says where to look, and not with a traceback."""
    with pytest.raises(Unavailable, match="look at TEMULA_DATABASE_URL"):
        await migrations.apply(server.url())


async def test_up_refuses(programs, server, folder, port, monkeypatch):
    """`temula up` on such a server says so in one line and exits with 2; nothing is left running."""
    monkeypatch.setitem(OPTIONS, "fsync", "off")
    await server.start()
    save_file(new_ring(), folder / "keys.json")
    up = await programs.temula(
        "up", TEMULA_DATABASE_URL=server.url(), TEMULA_DATA_DIR=str(folder), PORT=str(port)
    )  # fmt: skip
    code, said = await up.rest()
    assert code == 2
    assert said.startswith("temula: PostgreSQL has fsync = off")
    assert said.count("\n") == 1


async def made(server, database):
    """A new database of the server, and its owner's connection to it."""
    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE DATABASE {database}")
    await connection.close()
    return await asyncpg.connect(server.url(database=database))


@pytest.mark.parametrize("name", ["api", "worker", "scheduler"])
async def test_each_process_refuses(programs, server, folder, name):
    """Each process looks for itself: it may run on another machine, under a login with settings of its own."""
    await server.start()
    connection = await made(server, name)
    await migrations.apply(server.url(database=name))
    await connection.execute("ALTER ROLE temula_app LOGIN")
    await connection.execute(f"ALTER ROLE temula_app IN DATABASE {name} SET synchronous_commit = off")
    await connection.close()
    save_file(new_ring(), folder / "keys.json")
    alone = await programs.temula(
        name, TEMULA_DATABASE_APP_URL=server.url("temula_app", name), TEMULA_DATA_DIR=str(folder)
    )  # fmt: skip
    code, said = await alone.rest()
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("temula: PostgreSQL has synchronous_commit = off")


async def test_a_database_that_is_not_ours(programs, server, folder):
    """A database without our tables, or one that is not there, is one line that says where to look."""
    await server.start()
    await migrations.apply(server.url(database="postgres"))
    await (await made(server, "bare")).close()
    save_file(new_ring(), folder / "keys.json")
    for name in ("bare", "none"):
        url = server.url(database=name)
        look = await programs.temula("jobs", "dead", TEMULA_DATABASE_URL=url, TEMULA_DATA_DIR=str(folder))
        code, said = await look.rest()
        assert (code, said.count("\n")) == (2, 1)
        assert "look at TEMULA_DATABASE_URL" in said
