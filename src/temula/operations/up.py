"""`temula up`: PostgreSQL, migrations, the sandbox and every process, in one supervised tree."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import msgspec

from temula.kernel.errors import Misconfigured, Unavailable
from temula.operations import keyring, migrations
from temula.operations.configuration import DATABASE_URL_FILE, Configuration
from temula.operations.embedded import EmbeddedPostgres
from temula.operations.holding import held
from temula.operations.settings import ServerSettings
from temula.operations.supervision import Child, Supervisor, until

if TYPE_CHECKING:
    from temula.operations.sandbox import Quickstart

Say = Callable[[str], None]


class Up(NamedTuple):
    """What `up` was asked for."""

    configuration: Configuration
    with_sandbox: bool
    say: Say


class _Database(NamedTuple):
    """The database as `up` sees it: its owner's URL, what the children hear of it, and when it ends by itself."""

    owner: str
    environ: dict[str, str]
    ended: Callable[[], Awaitable[object]]


async def serve(up: Up, stop: asyncio.Event) -> None:
    """Bring everything up, say where it is, and keep it until `stop` is set."""
    folder = up.configuration.data.folder
    with held(folder / "run" / "lock", f"Temula is running already in {folder}"):
        supervisor = Supervisor(folder)
        await supervisor.end_leftovers()
        _require_free_port(up.configuration.server)
        await _until_first(_run(up, supervisor), _told(up, stop))


async def _run(up: Up, supervisor: Supervisor) -> None:
    async with _database(up.configuration) as database:
        try:
            await _until_first(_keep_serving(up, supervisor, database), _fail_when(up, database))
        finally:
            await supervisor.stop()


async def _told(up: Up, stop: asyncio.Event) -> None:
    await stop.wait()
    up.say("stopping")


async def _fail_when(up: Up, database: _Database) -> None:
    await database.ended()
    raise Unavailable(f"PostgreSQL ended by itself; see {up.configuration.data.folder / 'log' / 'postgres.log'}.")


async def _until_first(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until the first one ends, then cancel the others; an error of the first is raised."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _keep_serving(up: Up, supervisor: Supervisor, database: _Database) -> None:
    applied = await migrations.apply(database.owner)
    if not up.configuration.database.url:
        await _allow_login(database.owner)
    up.say("database ready")
    if applied:
        up.say(f"migrated: {', '.join(applied)}")
    if (made := await keyring.ensure(up.configuration)) is not None and up.configuration.database.url:
        up.say(f"key ring made: {_shown(made)}; keep a copy, without it stored secrets are lost")
    quickstart = await _processes(up, supervisor, database.environ)
    _say_where(up, quickstart)
    await asyncio.get_running_loop().create_future()  # the supervisor keeps them from here on


async def _processes(up: Up, supervisor: Supervisor, environ: dict[str, str]) -> "Quickstart | None":
    """Start every process: the API first, since it takes longest to load, and the rest when it does not slow it."""
    server, quickstart = up.configuration.server, None
    environ = {
        **environ,
        "TEMULA_SERVER_PORT": str(server.port),
        "TEMULA_SERVER_HOST": server.host,
        "TEMULA_DATA_DIR": str(up.configuration.data.folder),
    }
    if up.with_sandbox:
        port = _stand_in_port(up.configuration)
        environ["TEMULA_PROVIDERS_STRIPE_SANDBOX_URL"] = f"http://127.0.0.1:{port}"
    await supervisor.start(_own("api", environ))
    if up.with_sandbox:
        await supervisor.start(_stand_in(up.configuration, port, supervisor.lifeline))
        await until(lambda: _answers("127.0.0.1", port, "/_emulator/health"), "The Stripe stand-in", 30)
        quickstart = await _prepare_sandbox(up.configuration, f"http://127.0.0.1:{port}")
        up.say("sandbox ready")
    await until(lambda: _answers(_near(server.host), server.port, "/readyz"), "The API", 60)
    for name in ("worker", "scheduler"):
        await supervisor.start(_own(name, environ))
    return quickstart


def _own(name: str, environ: dict[str, str]) -> Child:
    return Child(name, ("-m", "temula.operations.cli", name), environ)


def _stand_in(configuration: Configuration, port: int, lifeline: int) -> Child:
    state = configuration.data.folder / "emulators" / "stripe.sqlite3"
    state.parent.mkdir(parents=True, exist_ok=True)
    arguments = ("--host", "127.0.0.1", "--port", str(port), "--state", str(state), "--lifeline-fd", str(lifeline))
    return Child("stripe-stand-in", ("-m", "emulators", "stripe", *arguments), {})


def _stand_in_port(configuration: Configuration) -> int:
    folder = configuration.data.folder
    return configuration.providers.emulator_port or _free_port(configuration.server.port + 1, folder / "run")


async def _prepare_sandbox(configuration: Configuration, stand_in: str) -> "Quickstart":
    from temula.operations import sandbox  # nearly all of Temula, and the API has to be on its way before
    from temula.operations.wiring import opened

    providers = msgspec.structs.replace(configuration.providers, stripe_sandbox_url=stand_in)
    async with opened(configuration._replace(providers=providers)) as house:
        return await sandbox.prepare(house, stand_in)


@asynccontextmanager
async def _database(configuration: Configuration) -> AsyncIterator[_Database]:
    """Give the database that is set, or run the embedded one; others find that by its URL in a file."""
    if url := configuration.database.url:
        yield _Database(url, {}, asyncio.get_running_loop().create_future)
        return
    folder = configuration.data.folder
    server = EmbeddedPostgres(folder / "postgres")
    file = folder / DATABASE_URL_FILE
    await server.start()
    try:
        file.write_text(server.url() + "\n")
        yield _Database(server.url(), {"TEMULA_DATABASE_APP_URL": server.url(migrations.APP)}, server.wait)
    finally:
        file.unlink(missing_ok=True)
        await server.stop()


async def _allow_login(owner: str) -> None:
    """Let the application in under its own name: in the embedded cluster nobody needs to be lowered first."""
    connection = await asyncpg.connect(owner)
    try:
        await connection.execute(f"ALTER ROLE {migrations.APP} LOGIN")
    finally:
        await connection.close()


def _require_free_port(server: ServerSettings) -> None:
    with socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except socket.gaierror as error:
            raise _no_address(server, error) from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise _no_address(server, error) from None
            raise Misconfigured(
                f"Port {server.port} cannot be used ({error.strerror}); choose another one: make run PORT=9090"
            ) from None


def _no_address(server: ServerSettings, error: OSError) -> Misconfigured:
    return Misconfigured(f"{server.host} is no address of this machine ({error.strerror}); look at TEMULA_SERVER_HOST.")


def _free_port(first: int, folder: Path) -> int:
    """Give the port used before, so that payment pages opened then stay where they were; else the next free one."""
    file = folder / "stripe-stand-in.port"
    remembered = [int(file.read_text())] if file.exists() else []
    for port in (*remembered, *range(first, first + 100)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(port))
        return int(port)
    raise Misconfigured(f"No free port from {first} on for the Stripe stand-in; set TEMULA_PROVIDERS_EMULATOR_PORT.")


def _near(host: str) -> str:
    """Give the address at which we reach a server that listens on `host`."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


async def _answers(host: str, port: int, path: str) -> bool:
    """Whether one of our own children answers a path with 200; asked by hand, before anything large is loaded."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return (await asyncio.wait_for(reader.readline(), 5)).split()[1:2] == [b"200"]
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


def _say_where(up: Up, quickstart: "Quickstart | None") -> None:
    base = up.configuration.server.base_url
    up.say("")
    up.say(f"  Home page      {base}/")
    up.say(f"  API            {base}/api/v1")
    up.say(f"  Documentation  {base}/api/docs")
    if quickstart is not None:
        from temula.operations import sandbox

        file = sandbox.quickstart_file(up.configuration.data.folder)
        up.say(f"  Sandbox        {_shown(file)}: token, ids, and the password of {quickstart.admin_email}")
        up.say("  Try            temula demo   (in another terminal: .venv/bin/temula demo)")
    up.say("")


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
