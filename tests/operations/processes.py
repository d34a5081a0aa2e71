"""Processes that tests of the operations start and end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from temula.operations import children
from temula.operations.embedded.owner import Owner

PATIENCE = 30
TEMULA = Path(sys.executable).with_name("temula")


async def until(met: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.01)


def lives(number: int) -> bool:
    return children.birth(number) is not None


class Program:
    """A Python program, or `temula` itself, in a process of its own; what it writes is read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, beginning: str = "") -> str:
        """The next line that begins so."""
        others: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                if line.strip().startswith(beginning):
                    return line.strip()
                others.append(line)
        raise AssertionError(f"it ended without a line that begins with {beginning!r}: {''.join(others)}")

    async def rest(self) -> tuple[int, str]:
        """Its exit code and what else it wrote, once it has ended."""
        async with asyncio.timeout(PATIENCE):
            said = await self.process.stdout.read()
            return await self.process.wait(), said.decode()

    async def kill(self) -> None:
        """`kill -9`: it gets no chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


class Programs:
    """Starts programs; those that still run at the end of the test are killed."""

    def __init__(self) -> None:
        self._started: list[asyncio.subprocess.Process] = []

    async def python(self, program: str, *arguments: object, **environ: str) -> Program:
        return await self._start([sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)], environ)

    async def temula(self, *arguments: object, **environ: str) -> Program:
        return await self._start([str(TEMULA), *map(str, arguments)], environ)

    async def _start(self, command: list[str], environ: dict[str, str]) -> Program:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "PYTHONUNBUFFERED": "1", **environ}, stdin=subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return Program(process)

    async def end(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.wait()


def sleeper(owner: Owner) -> "subprocess.Popen[bytes]":
    """A stranger's process, of the owner's, that does nothing for long."""
    becoming = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner.becoming else {}
    return subprocess.Popen(["sleep", "300"], **becoming)
