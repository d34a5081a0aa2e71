"""Nothing runs on a server that may forget what it has acknowledged."""

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
