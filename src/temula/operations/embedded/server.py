"""The server itself: our own direct child over a private unix socket, for one folder, held by one process at a time.

We keep the process ourselves, because the managers that come with such wheels take any living process with the old
number for their server after a crash.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg
import structlog

from temula.operations import children
from temula.operations.embedded import cluster as clusters
from temula.operations.embedded import leftovers
from temula.operations.embedded.cluster import Cluster
from temula.operations.embedded.errors import EmbeddedPostgresError
from temula.operations.holding import held

log = structlog.get_logger()

DATABASE = "temula"
OPTIONS = {
    "listen_addresses": "", "unix_socket_permissions": "0700",
    "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
    "shared_buffers": "128MB", "max_connections": "120", "max_wal_size": "2GB", "random_page_cost": "1.1",
    "autovacuum_naptime": "10s", "jit": "off", "timezone": "UTC", "log_timezone": "UTC",
    "log_min_messages": "warning",
    # Whoever reads the webhook log of ninety days locks each day's table and its indexes, a thousand in all.
    "max_locks_per_transaction": "256",
}  # fmt: skip
# Fast: open transactions end, nothing needs recovery. Then at once, which the next start recovers from.
STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 10.0))
SAY_EVERY = 10.0


class EmbeddedPostgres:
    """A private server for one folder: `start`, `url`, `wait`, `stop`."""

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None) -> None:
        self._folder = folder.absolute()
        self._environ = os.environ if environ is None else environ
        self._holding = ExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._sockets = self._folder / "socket"

    async def start(self) -> None:
        """Make the cluster if there is none, recover it if it crashed, and return when it answers."""
        taken = f"Temula is running already in {self._folder.parent}"
        self._holding.enter_context(held(self._folder / "lock", taken))
        try:
            cluster = await asyncio.to_thread(self._prepare)
            self._sockets = cluster.sockets
            await self._launch(cluster)
        except BaseException:
            await self.stop()
            raise

    def url(self, user: str = "postgres", database: str = DATABASE) -> str:
        """Give the connection URL of a user."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._sockets))}"

    async def wait(self) -> int:
        """Wait until the server ends; give its exit code."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """Shut the server down cleanly and let go of the folder; without effect if it is not running."""
        process, self._process = self._process, None
        try:
            if process is not None:
                await children.end(process, STOP)
                with suppress(OSError):  # not empty, if the server had to be killed
                    self._sockets.rmdir()
        finally:
            self._holding.close()

    def _prepare(self) -> Cluster:
        cluster = clusters.prepare(self._folder, self._environ)
        leftovers.clear(cluster.data, cluster.sockets)
        return cluster

    async def _launch(self, cluster: Cluster) -> None:
        file = self._folder.parent / "log" / "postgres.log"
        arguments = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        with children.open_log(file) as output:
            begun = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                str(cluster.programs.folder / "postgres"), "-D", str(cluster.data), "-k", str(cluster.sockets),
                *arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                cwd=cluster.data, env=clusters.ENVIRON,
                preexec_fn=children.tied(signal.SIGINT, **cluster.owner.becoming),
            )  # fmt: skip
        connection = await self._first_connection(self._process, file, begun)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    async def _first_connection(
        self, process: asyncio.subprocess.Process, file: Path, begun: int
    ) -> "asyncpg.Connection":
        """Connect as soon as the server lets us in; a recovery takes as long as it takes, ending it only repeats it."""
        clock = asyncio.get_running_loop().time
        say_at = clock() + SAY_EVERY
        while process.returncode is None:
            try:
                return await asyncpg.connect(self.url(database="postgres"), timeout=60)
            except (OSError, asyncpg.CannotConnectNowError) as error:
                if clock() > say_at:
                    log.warning("postgres.still_starting", why=str(error), log=str(file))
                    say_at = clock() + SAY_EVERY
                await asyncio.sleep(0.01)
        said = await asyncio.to_thread(_since, file, begun)
        raise EmbeddedPostgresError(f"PostgreSQL did not start; {file} ends: {' | '.join(said[-3:])}")


def _since(file: Path, begun: int) -> list[str]:
    return file.read_bytes()[begun:].decode(errors="replace").strip().splitlines()
