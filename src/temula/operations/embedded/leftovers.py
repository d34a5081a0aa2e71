"""Clears away what a server that did not end well left behind, so that the next one can start.

PostgreSQL refuses to start while the process that `postmaster.pid` or the socket's lock names is alive, whoever that
is by now: after a restart of a container often a stranger, or a zombie that nobody reaps. We know better, because we
look at what works in the data folder.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from temula.operations.embedded.errors import EmbeddedPostgresError

PROCESSES = Path("/proc")
STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 10.0))


def clear(data: Path, sockets: Path) -> None:
    """End servers that still work in `data`, then remove the files that only a living one may have.

    Only who holds the folder's lock may call this. The order matters: `postmaster.pid` keeps a new server away from
    the memory of orphaned ones, so it goes only after the last of them.
    """
    if not (PROCESSES / "self").exists():
        return  # without /proc nobody can tell; PostgreSQL's own check, which rather refuses, decides
    _end_servers(data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    for file in sockets.glob(".s.PGSQL.*"):
        file.unlink(missing_ok=True)


def servers(data: Path) -> list[int]:
    """List the living PostgreSQL processes that work in `data`; a zombie is none."""
    place = data.stat()
    found = []
    for process in PROCESSES.iterdir():
        if not process.name.isdigit():
            continue
        try:
            program = Path(os.readlink(process / "exe")).name.removesuffix(" (deleted)")
            if program == "postgres" and os.path.samestat((process / "cwd").stat(), place):
                found.append(int(process.name))
        except OSError:  # it ended meanwhile, is a zombie, or belongs to somebody else
            continue
    return found


def _end_servers(data: Path) -> None:
    for number, limit in STEPS:
        living = servers(data)
        postmaster = _postmaster(data)
        if postmaster in living:
            _tell([postmaster], number)  # it ends its own; told one by one, they would look like crashes to it
        else:
            _tell(living, signal.SIGKILL)  # nobody leads them any more, and what they did not commit is void
        deadline = time.monotonic() + limit
        while living and time.monotonic() < deadline:
            time.sleep(0.02)
            living = servers(data)
        if not living:
            return
    raise EmbeddedPostgresError(f"Process {living[0]} still works in {data} and cannot be ended: end it, then start.")


def _tell(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _postmaster(data: Path) -> int:
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return 0
