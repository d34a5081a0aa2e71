"""The private server: it starts, keeps its data, and leaves nothing behind."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

from temula.kernel.errors import Misconfigured
from temula.operations.embedded import leftovers
from temula.operations.embedded.errors import EmbeddedPostgresError
from temula.operations.embedded.server import OPTIONS, EmbeddedPostgres
from tests.operations.embedded.asking import READ, WRITE, ask
from tests.operations.processes import PATIENCE

NOBODY = 65534
DEBIANS = Path("/usr/lib/postgresql/15/bin")


def our_children() -> list[int]:
    return [int(word) for word in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]


def sockets_beside(sockets: Path) -> list[Path]:
    return list(sockets.parent.iterdir())


async def test_cold_then_warm(folder):
    """A first start makes a cluster; the next one finds in it what was written."""
    server = EmbeddedPostgres(folder / "postgres")
    await server.start()
    assert await ask(server, *WRITE) == "this"
    await server.stop()
    await server.start()
    assert await ask(server, READ) == "this"
    assert stat.S_IMODE((folder / "postgres" / "data").stat().st_mode) == 0o700
    await server.stop()


async def test_stop_leaves_nothing(server, home, data):
    """After a stop no process, no socket and no pid is left; a second stop does nothing; it can start again."""
    await server.start()
    assert leftovers.servers(data) != []
    await server.stop()
    await server.stop()
    assert leftovers.servers(data) == []
    assert sorted(path.name for path in home.iterdir()) == ["data", "lock"]
    assert not (data / "postmaster.pid").exists()


async def test_settings(server):
    """The server runs with our settings, durability among them, and with checksums on its pages."""
    await server.start()
    for name, value in OPTIONS.items():
        assert await ask(server, f"SELECT current_setting('{name}')") == value, name
    assert (OPTIONS["fsync"], OPTIONS["full_page_writes"], OPTIONS["synchronous_commit"]) == ("on", "on", "on")
    assert await ask(server, "SHOW data_checksums") == "on"


async def test_private(server, home):
    """Only its owner, and root, can reach the socket; nothing listens on a network."""
    await server.start()
    sockets = home / "socket"
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert await ask(server, "SHOW listen_addresses") == ""
    assert await ask(server, "SELECT inet_server_addr() IS NULL")


async def test_direct_child(server, data):
    """The server is our own child, so that we see its end."""
    await server.start()
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    assert postmaster in our_children()


async def test_ends_by_itself(server, data):
    """`wait` tells when the server ends."""
    await server.start()
    waiting = asyncio.ensure_future(server.wait())
    os.kill(int((data / "postmaster.pid").read_text().splitlines()[0]), 9)
    assert await asyncio.wait_for(waiting, 10) == -9


@pytest.mark.parametrize("name", ["a" * 60 + "/" + "b" * 60, "with space, comma; 50% & 'quote'"])
async def test_any_path(folder, name):
    """A path too long or too strange for a socket's address is fine; nothing is left of the one used instead."""
    server = EmbeddedPostgres(folder / name / "postgres")
    await server.start()
    sockets = Path(str(await ask(server, "SHOW unix_socket_directories")))
    assert not sockets.is_relative_to(folder)
    assert await ask(server, *WRITE) == "this"
    await server.stop()
    assert sockets not in sockets_beside(sockets)


async def test_somebody_elses_socket_folder(server, home, data):
    """A folder that somebody put where our socket goes is refused, not used."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of somebody else's")
    sockets = home / "socket"
    shutil.rmtree(sockets, ignore_errors=True)
    sockets.mkdir()
    os.chown(sockets, NOBODY, NOBODY)
    try:
        with pytest.raises(EmbeddedPostgresError, match="belongs to somebody else"):
            await server.start()
    finally:
        shutil.rmtree(sockets)


async def test_one_holder(server, home):
    """A second server on the same folder is refused, and told who holds it."""
    await server.start()
    with pytest.raises(Misconfigured, match=f"process {os.getpid()}"):
        await EmbeddedPostgres(home).start()
    assert await ask(server, "SELECT 1") == 1


async def test_cancelled(server, data):
    """A start that is given up leaves no process and lets the next one in."""
    starting = asyncio.create_task(server.start())
    async with asyncio.timeout(PATIENCE):
        while not starting.done() and not leftovers.servers(data):
            await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert leftovers.servers(data) == []
    await server.start()


async def test_does_not_start(server, monkeypatch):
    """A server that gives up is reported in one line with its own words."""
    monkeypatch.setitem(OPTIONS, "shared_buffers", "nonsense")
    with pytest.raises(EmbeddedPostgresError, match=r'shared_buffers.*"nonsense"') as raised:
        await server.start()
    assert "\n" not in raised.value.detail


async def test_named_programs_missing(folder):
    """A folder named in TEMULA_POSTGRES_BIN is used or refused, never passed over."""
    with pytest.raises(EmbeddedPostgresError, match=r"TEMULA_POSTGRES_BIN is /nowhere") as raised:
        await EmbeddedPostgres(folder / "postgres", environ={"TEMULA_POSTGRES_BIN": "/nowhere"}).start()
    assert raised.value.code == "embedded_postgres"


@pytest.mark.skipif(not DEBIANS.exists(), reason="no PostgreSQL 15 of Debian's here")
async def test_named_programs(folder):
    """TEMULA_POSTGRES_BIN chooses the programs."""
    server = EmbeddedPostgres(folder / "postgres", environ={"TEMULA_POSTGRES_BIN": str(DEBIANS)})
    await server.start()
    assert str(await ask(server, "SHOW server_version")).startswith("15.")
    assert await ask(server, "SHOW data_checksums") == "on"
    await server.stop()
