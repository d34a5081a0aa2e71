"""Temula's API or worker as it runs anywhere, but by a clock and a name server that the kit moves.

`python -m conformance.adapters.temula_process api|worker SHARED`: settings come from the environment as always. The
clock's lead and the names are read from the file SHARED, which the kit replaces; no setting of the product moves time.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temula.kernel.clock import SystemClock
from temula.kernel.database import Database
from temula.kernel.http import Http
from temula.operations import running, wiring
from temula.operations.app import server
from temula.operations.configuration import configure, owner_url
from temula.operations.serving import worker_loops

LOOK = 0.05


class Shared:
    """The file between the kit and the processes, read anew whenever it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self.lead = timedelta()
        self.names: dict[str, list[str]] = {}

    def look(self) -> "Shared":
        """Bring it up to date."""
        if (changed := self._path.stat().st_mtime_ns) != self._seen:
            held = json.loads(self._path.read_text())
            self._seen, self.lead, self.names = changed, timedelta(seconds=held["lead"]), held["names"]
        return self


class LedClock(SystemClock):
    """The system's clock with the lead that the kit gave it; deadlines of requests, which are the loop's, have none."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def now(self) -> datetime:
        """Give the time that it is to be."""
        return datetime.now(UTC) + self._shared.look().lead

    def monotonic(self) -> float:
        """Give seconds that have passed, those of the lead among them."""
        return super().monotonic() + self._shared.look().lead.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Sleep until that time; who sleeps is woken when the clock is moved past it."""
        end = self.now() + timedelta(seconds=seconds)
        while (left := (end - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the file is not ours to wait on
            await asyncio.sleep(min(left, LOOK))


async def serve(what: str, shared: Shared, stop: asyncio.Event) -> None:
    """Run it until it is told to stop."""

    async def resolve(name: str) -> Sequence[str]:
        return shared.look().names.get(name, [])

    configuration = configure()
    database = Database(owner_url(configuration), clock=LedClock(shared))
    await database.open()
    async with Http(resolve=resolve) as http:
        house = wiring.built(configuration, database, http)
        if what == "api":
            answering = server(house)
            serving = asyncio.create_task(answering.serve())
            await stop.wait()
            answering.should_exit = True
            await serving
        else:
            await asyncio.gather(*worker_loops(house, stop))
    await database.close()


if __name__ == "__main__":
    running.log_as_json()
    process = sys.argv[1]
    running.run(lambda stop: serve(process, Shared(Path(sys.argv[2])), stop))
