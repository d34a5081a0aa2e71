"""`temula up` as a process: one for each folder, and whatever happened to the last one, the next one comes up."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest

from temula.operations.embedded import leftovers
from tests.operations.processes import lives, until

QUIETLY = ("up", "--no-sandbox")


def where(folder: Path, port: int) -> dict[str, str]:
    return {"TEMULA_DATA_DIR": str(folder), "PORT": str(port)}


def ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)


def children_of(folder: Path) -> dict[str, int]:
    return {note.stem: int(note.read_text().split()[0]) for note in (folder / "run").glob("*.pid")}


async def test_up_and_down(programs, folder, port):
    """It answers when it says so, and leaves no process and no file of a running one when it is told to stop."""
    up = await programs.temula(*QUIETLY, **where(folder, port))
    await up.line("Home page")
    assert ready(port)
    children = children_of(folder)
    assert sorted(children) == ["api", "scheduler", "worker"]
    up.process.send_signal(signal.SIGINT)
    code, said = await up.rest()
    assert (code, said.splitlines()[-1]) == (0, "stopping")
    assert not any(lives(number) for number in children.values())
    assert leftovers.servers(folder / "postgres" / "data") == []
    assert [path.name for path in (folder / "run").iterdir()] == ["lock"]
    logged = [line for name in children for line in (folder / "log" / f"{name}.log").read_text().splitlines()]
    assert all(isinstance(json.loads(line), dict) for line in logged)


async def test_logs_are_json(programs):
    """What our processes log is one JSON object a line, and so are the warnings of libraries with their tracebacks."""
    program = await programs.python("""
        import logging
        import structlog
        from temula.operations import running
        running.log_as_json()
        structlog.get_logger().info("ours", path="/x")
        try:
            raise ValueError("two\\nlines")
        except ValueError:
            logging.getLogger("library").exception("theirs")
        logging.getLogger("library").info("chatter")
    """)
    code, said = await program.rest()
    assert code == 0
    ours, theirs = [json.loads(line) for line in said.splitlines()]
    assert (ours["event"], ours["level"], ours["path"]) == ("ours", "info", "/x")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs", "error", "library")
    assert "ValueError: two" in theirs["exception"]


async def test_killed(programs, folder, port):
    """After `kill -9` the next one comes up at once, on the same port and the same data."""
    first = await programs.temula(*QUIETLY, **where(folder, port))
    await first.line("Home page")
    children = children_of(folder)
    await first.kill()
    second = await programs.temula(*QUIETLY, **where(folder, port))
    await second.line("Home page")
    assert ready(port)
    assert not any(lives(number) for number in children.values())


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"PORT": "0"}, "Invalid value for"),
        ({"PORT": "99999"}, "Invalid value for"),
        ({"TEMULA_SERVER_HOST": "192.0.2.1"}, "look at TEMULA_SERVER_HOST"),
        ({"TEMULA_DATA_DIR": "/proc/none"}, "set TEMULA_DATA_DIR to a folder that can be written"),
    ],
)
async def test_where_it_cannot_be(programs, folder, port, environ, says):
    """An address or a folder that cannot be had is refused before anything is started, with what to set instead."""
    up = await programs.temula(*QUIETLY, **{**where(folder, port), **environ})
    code, said = await up.rest()
    assert code == 2
    assert says in said
    assert "Traceback" not in said


async def test_second_on_one_folder(programs, folder, port):
    """A second one on the same folder is told in one line who holds it, and the first goes on undisturbed."""
    first = await programs.temula(*QUIETLY, **where(folder, port))
    await first.line("Home page")
    children = children_of(folder)
    second = await programs.temula(*QUIETLY, **where(folder, port))
    code, said = await second.rest()
    assert code == 2
    assert said.startswith(f"temula: Temula is running already in {folder} (process {first.process.pid})")
    assert said.count("\n") == 1
    assert children_of(folder) == children
    assert ready(port)


async def test_server_killed(programs, folder, port):
    """If PostgreSQL ends by itself, all end, and the next start recovers it."""
    up = await programs.temula(*QUIETLY, **where(folder, port))
    await up.line("Home page")
    children = children_of(folder)
    os.kill(int((folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
    code, said = await up.rest()
    assert (code, said.count("PostgreSQL ended by itself")) == (2, 1)
    await until(lambda: not any(lives(number) for number in children.values()))
    again = await programs.temula(*QUIETLY, **where(folder, port))
    await again.line("Home page")
