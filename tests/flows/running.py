"""`temula up` as people run it: a process of its own in a folder of its own."""

import os
import signal
import time
from pathlib import Path

from tests.harness.house import free_port
from tests.operations.processes import Program, Programs, lives


class Up:
    """One start of `temula up`, ready to be used."""

    def __init__(self, folder: Path, environ: dict[str, str], program: Program, port: int) -> None:
        self.folder = folder
        self.environ = environ
        self.program = program
        self.base_url = f"http://localhost:{port}"
        self.seconds = 0.0
        self.said = ""

    @property
    def tree(self) -> dict[int, str]:
        """It and every process below it: number and program."""
        parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        found = {self.program.process.pid}
        while more := {number for number, parent in parents.items() if parent in found} - found:
            found |= more
        return {number: _program(number) for number in found}

    async def interrupt(self) -> int:
        """Ctrl-C: what a terminal sends to everything in the foreground; gives the exit code."""
        os.killpg(self.program.process.pid, signal.SIGINT)
        code, rest = await self.program.rest()
        self.said += rest
        return code


async def start(programs: Programs, folder: Path, **environ: str) -> Up:
    """Start it and wait until it says that it is ready."""
    port = free_port()
    environ = {"TEMULA_DATA_DIR": str(folder), **environ}
    began = time.monotonic()
    up = Up(folder, environ, await programs.temula("up", "--port", port, **environ), port)
    while not up.said.endswith("Try"):
        line = await up.program.line()
        up.said += f"{line}\n" if not line.startswith("Try") else "Try"
    up.seconds = time.monotonic() - began
    return up


async def run(programs: Programs, up: Up, *command: str) -> tuple[int, str]:
    """Run another command beside it; gives its exit code and what it said."""
    return await (await programs.temula(*command, **up.environ)).rest()


def left(tree: dict[int, str]) -> dict[int, str]:
    """Those of a tree that live still."""
    return {number: program for number, program in tree.items() if lives(number)}


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _program(number: int) -> str:
    try:
        return Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        return ""
