"""Keeps child processes running: starts them, starts anew what dies, and stops all in order; none outlives us."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from temula.kernel.errors import Unavailable
from temula.operations.serving import LIFELINE

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE, HEALTHY_AFTER = 0.2, 5.0, 30.0
STOP_LIMIT = 25.0
LARGEST_LOG = 10 * 1024 * 1024


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
        self._stopping = False
        # Children hold the reading end; the kernel closes the other one when we die, in whatever way.
        self._lifeline, self._held = os.pipe()
        os.set_inheritable(self._lifeline, True)  # noqa: FBT003 - the standard library takes it by position
        for name in ("log", "run"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    async def start(self, child: Child) -> None:
        """Start a child and keep it."""
        await asyncio.to_thread(self._end_leftover, child)
        self._turn_log(child)
        process = await self._spawn(child)
        self._keepers[child.name] = asyncio.create_task(self._keep(child, process), name=f"keep {child.name}")

    async def stop(self) -> None:
        """Stop all, the last started first."""
        self._stopping = True
        for name in reversed(list(self._keepers)):
            await self._end(self._processes[name])
            self._keepers[name].cancel()
            (self._folder / "run" / f"{name}.pid").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self._held)
            os.close(self._lifeline)

    async def _keep(self, child: Child, process: asyncio.subprocess.Process) -> None:
        pause, clock = FIRST_PAUSE, asyncio.get_running_loop().time
        while True:
            begun = clock()
            code = await process.wait()
            if self._stopping:
                return
            pause = FIRST_PAUSE if clock() - begun > HEALTHY_AFTER else min(pause * 2, LONGEST_PAUSE)
            log.warning("child.died", name=child.name, code=code, again_in=pause)
            await asyncio.sleep(pause)
            if not self._stopping:
                process = await self._spawn(child)

    async def _spawn(self, child: Child) -> asyncio.subprocess.Process:
        environ = {**os.environ, **child.environ, LIFELINE: str(self._lifeline)}
        with (self._folder / "log" / f"{child.name}.log").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *child.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ,
                pass_fds=(self._lifeline,), start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        self._processes[child.name] = process
        (self._folder / "run" / f"{child.name}.pid").write_text(f"{process.pid}\n")
        return process

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        for number, limit in ((signal.SIGTERM, STOP_LIMIT), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), limit)
                return

    def _turn_log(self, child: Child) -> None:
        file = self._folder / "log" / f"{child.name}.log"
        if file.exists() and file.stat().st_size > LARGEST_LOG:
            file.replace(file.with_suffix(".log.1"))

    def _end_leftover(self, child: Child) -> None:
        """End a child of an earlier supervisor that still runs: it would hold the port."""
        file = self._folder / "run" / f"{child.name}.pid"
        try:
            number = int(file.read_text())
            command = (Path("/proc") / str(number) / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if [argument.encode() for argument in child.arguments] == command[1:-1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


async def until(check: Callable[[], Awaitable[bool]], what: str, limit: float) -> None:
    """Wait until `check` holds; raises `Unavailable` naming what did not come."""
    deadline = asyncio.get_running_loop().time() + limit
    while not await check():
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(f"{what} did not come up within {limit:.0f} seconds; its log is in the data folder.")
        await asyncio.sleep(0.03)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
