"""The supervisor keeps its children, and none outlives it."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from temula.operations.embedded.owner import Owner
from temula.operations.supervision import Child, Supervisor
from tests.operations.processes import lives, sleeper, until

US = Owner(os.geteuid(), os.getegid())

# Says its number, then what it is told, into the file that it is given.
TALKER = """
import os, signal, sys, time
def say(line):
    with open(sys.argv[1], "a") as file:
        file.write(line + "\\n")
def end(*_):
    say(f"ended {sys.argv[2]}")
    sys.exit()
signal.signal(signal.SIGTERM, end)
say(f"begun {sys.argv[2]} {os.getpid()}")
while True:
    time.sleep(1)
"""

KEEPER = """
    import asyncio, sys
    from pathlib import Path
    from temula.operations import children
    from temula.operations.supervision import Child, Supervisor

    async def main():
        supervisor = Supervisor(Path(sys.argv[1]))
        for name in ("one", "two"):
            await supervisor.start(Child(name, ("-c", "import time; time.sleep(300)"), {}))
        print("started", flush=True)
        await asyncio.Event().wait()

    if "untied" in sys.argv:
        children._PRCTL = None
    asyncio.run(main())
"""


def talker(folder: Path, name: str) -> Child:
    return Child(name, ("-c", TALKER, str(folder / "said"), name), {})


def said(folder: Path, beginning: str) -> list[str]:
    file = folder / "said"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.removeprefix(beginning).strip() for line in lines if line.startswith(beginning)]


def numbers(folder: Path) -> list[int]:
    return [int(note.read_text().split()[0]) for note in sorted((folder / "run").glob("*.pid"))]


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    await made.stop()


async def test_starts_anew(supervisor, tmp_path):
    """A child that dies is started anew, more than once."""
    await supervisor.start(talker(tmp_path, "one"))
    for life in (1, 2):
        await until(lambda life=life: len(said(tmp_path, "begun one")) == life)
        os.kill(int(said(tmp_path, "begun one")[-1]), signal.SIGKILL)
    await until(lambda: len(said(tmp_path, "begun one")) == 3)
    assert numbers(tmp_path) == [int(said(tmp_path, "begun one")[-1])]


async def test_stops_in_order(supervisor, tmp_path):
    """A stop ends all, the last started first, and none is started anew."""
    for name in ("one", "two", "three"):
        await supervisor.start(talker(tmp_path, name))
    await until(lambda: len(said(tmp_path, "begun")) == 3)
    begun = [int(line.split()[1]) for line in said(tmp_path, "begun")]
    await supervisor.stop()
    assert said(tmp_path, "ended") == ["three", "two", "one"]
    assert not any(lives(number) for number in begun)
    assert numbers(tmp_path) == []


async def test_stops_while_starting_anew(supervisor, tmp_path):
    """A child that is waiting for its next life gets none after a stop."""
    await supervisor.start(talker(tmp_path, "one"))
    await until(lambda: len(said(tmp_path, "begun")) == 1)
    number = numbers(tmp_path)[0]
    os.kill(number, signal.SIGKILL)
    await until(lambda: not lives(number))
    await supervisor.stop()
    assert len(said(tmp_path, "begun")) == 1


async def test_killed(programs, tmp_path):
    """`kill -9` of the supervisor ends its children, also those who know nothing of it."""
    keeper = await programs.python(KEEPER, tmp_path)
    await keeper.line("started")
    left = numbers(tmp_path)
    assert all(lives(number) for number in left)
    await keeper.kill()
    await until(lambda: not any(lives(number) for number in left))


async def test_leftovers(programs, supervisor, tmp_path):
    """Children that outlived their supervisor have ended when the next one says so."""
    keeper = await programs.python(KEEPER, tmp_path, "untied")
    await keeper.line("started")
    left = numbers(tmp_path)
    await keeper.kill()
    assert [lives(number) for number in left] == [True, True]
    await supervisor.end_leftovers()
    assert not any(lives(number) for number in left)
    assert numbers(tmp_path) == []


@pytest.mark.parametrize("note", ["{} 1", "{} None", "{}", "", "nonsense here"])
async def test_strangers(supervisor, tmp_path, note):
    """A number that now belongs to somebody else is theirs; a broken note is no hindrance."""
    stranger = sleeper(US)
    try:
        (tmp_path / "run" / "api.pid").write_text(note.format(stranger.pid))
        await supervisor.end_leftovers()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
