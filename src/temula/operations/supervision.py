"""Keeps child processes running: starts them, starts anew what dies, and stops all in order; none outlives us."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from temula.kernel.errors import Unavailable
from temula.operations import children

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE, HEALTHY_AFTER = 0.2, 5.0, 30.0
STOP = ((signal.SIGTERM, 25.0), (signal.SIGKILL, 5.0))
LEFTOVER_LIMIT = 10.0


class Child(NamedTuple):
    """One process to keep: `arguments` of the Python interpreter, and what it finds in its environment."""

    name: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]


class Supervisor:
    """Keeps children of one data folder; their logs are under `log/`, their numbers under `run/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        # Children hold the reading end; the kernel closes the other one when we die, in whatever way.
        self._ends: tuple[int, ...] = os.pipe()
        (folder / "run").mkdir(parents=True, exist_ok=True)

    @property
    def lifeline(self) -> int:
        """Give the descriptor that each child finds open, until we are gone."""
        return self._ends[0]

    async def end_leftovers(self) -> None:
        """End children of an earlier supervisor that are still at their last requests: they would hold the ports."""
        for note in (self._folder / "run").glob("*.pid"):
            await asyncio.to_thread(_end_leftover, note)

    async def start(self, child: Child) -> None:
        """Start a child and keep it."""
        await self._spawn(child)
        self._keepers[child.name] = asyncio.create_task(self._keep(child), name=f"keep {child.name}")

    async def stop(self) -> None:
        """Stop all, the last started first."""
        for name, keeper in reversed(self._keepers.items()):
            keeper.cancel()  # before its child ends, or it would start it anew
            await asyncio.gather(keeper, return_exceptions=True)
            await children.end(self._processes[name], STOP)
            self._note(name).unlink(missing_ok=True)
        self._keepers.clear()
        for end in self._ends:
            os.close(end)
        self._ends = ()

    async def _keep(self, child: Child) -> None:
        pause, clock = FIRST_PAUSE, asyncio.get_running_loop().time
        while True:
            begun = clock()
            code = await self._processes[child.name].wait()
            pause = FIRST_PAUSE if clock() - begun > HEALTHY_AFTER else min(pause * 2, LONGEST_PAUSE)
            log.warning("child.died", name=child.name, code=code, again_in=pause)
            await asyncio.sleep(pause)
            try:
                await self._spawn(child)
            except OSError as error:  # no memory, say: the next round sees the old one dead and tries again
                log.warning("child.not_started", name=child.name, why=str(error))

    async def _spawn(self, child: Child) -> None:
        environ = {**os.environ, **child.environ, children.LIFELINE: str(self.lifeline)}
        with children.open_log(self._folder / "log" / f"{child.name}.log") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *child.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ,
                pass_fds=(self.lifeline,), start_new_session=True, preexec_fn=children.tied(signal.SIGTERM),
            )  # fmt: skip
        self._processes[child.name] = process
        self._note(child.name).write_text(f"{process.pid} {children.birth(process.pid)}\n")

    def _note(self, name: str) -> Path:
        return self._folder / "run" / f"{name}.pid"


def _end_leftover(note: Path) -> None:
    try:
        written, birth = note.read_text().split()
        number = int(written)
    except ValueError:  # it was cut short, by a full disk say
        return
    deadline = time.monotonic() + LEFTOVER_LIMIT
    while children.birth(number) == birth and time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
        time.sleep(0.01)
    note.unlink(missing_ok=True)


async def until(check: Callable[[], Awaitable[bool]], what: str, limit: float) -> None:
    """Wait until `check` holds; raises `Unavailable` naming what did not come."""
    deadline = asyncio.get_running_loop().time() + limit
    while not await check():
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(f"{what} did not come up within {limit:.0f} seconds; its log is in the data folder.")
        await asyncio.sleep(0.03)
