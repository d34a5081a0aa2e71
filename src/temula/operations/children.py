"""What every child process of ours has in common: it dies when we die, keeps its log with us, and ends when told."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

LIFELINE = "TEMULA_LIFELINE_FD"  # names a pipe in a child's environment, whose far end we hold as long as we live
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LARGEST_LOG = 10 * 1024 * 1024

# Loaded here, because between fork and exec nothing may be imported or allocated that another thread could hold.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def tied(number: signal.Signals, *, uid: int | None = None, gid: int | None = None) -> Callable[[], None]:
    """Give the `preexec_fn` of a child that gets signal `number` (on Linux) when the thread that started it ends.

    The user is changed here and not by subprocess's own arguments, which uvloop does not know; and it is changed
    first, because a process that changes its user loses its wish for that signal.
    """
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        if uid is not None and gid is not None:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if _PRCTL is not None:
            _PRCTL(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:  # we died before the wish was spoken
                os._exit(1)

    return between_fork_and_exec


def birth(process: int) -> str | None:
    """Give when a living process was born, in the kernel's count: with its number, it tells it from all others.

    None for a zombie, for nobody, and where there is no /proc.
    """
    try:
        # The name, in parentheses, may hold anything; the state is the first word after it, the birth the twentieth.
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def open_log(file: Path) -> IO[bytes]:
    """Open a child's log to append to it; a large one is put aside first, in the place of the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > LARGEST_LOG:
        file.replace(file.with_name(f"{file.name}.1"))
    return file.open("ab")


async def end(process: asyncio.subprocess.Process, steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """End a child: send each signal in turn until it is gone, with so many seconds for each."""
    for number, limit in steps:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), limit)
