"""`temula up`: PostgreSQL, migrations, the sandbox and every process, in one supervised tree."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec

from temula.kernel.crypto import new_ring, save_file
from temula.kernel.errors import Misconfigured, Unavailable
from temula.kernel.http import Http, HttpError, Request
from temula.operations import migrations, sandbox
from temula.operations.postgres import EmbeddedPostgres, read_only_check
from temula.operations.settings import ServerSettings
from temula.operations.supervision import Child, Supervisor, until
from temula.operations.wiring import DATABASE_URL_FILE, Configuration, key_ring, opened, ring_file

Say = Callable[[str], None]


class Up(NamedTuple):
    """What `up` was asked for."""

    configuration: Configuration
    with_sandbox: bool
    say: Say


async def serve(up: Up, stop: asyncio.Event) -> None:
    """Bring everything up, say where it is, and keep it until `stop` is set."""
    configuration, folder = up.configuration, up.configuration.data.folder
    folder.mkdir(parents=True, exist_ok=True)
    _require_free_port(configuration.server)
    _require_ring(configuration)
    async with _database(configuration) as (owner, environ, ended):
        up.say("database ready")
        applied = await migrations.apply(owner)
        if applied:
            up.say(f"migrated: {', '.join(applied)}")
        if not configuration.database.url:
            await _allow_login(owner)
        supervisor = Supervisor(folder)
        try:
            await _until_first(
                _keep_serving(up, supervisor, environ),
                stop.wait(),
                _fail_when(ended(), folder / "log" / "postgres.log"),
            )
        finally:
            up.say("stopping")
            await supervisor.stop()


async def _keep_serving(up: Up, supervisor: Supervisor, environ: dict[str, str]) -> None:
    _say_where(up, await _processes(up, supervisor, environ))
    await asyncio.get_running_loop().create_future()  # the supervisor keeps them from here on


async def _fail_when(ended: "asyncio.Future[int]", log_file: Path) -> None:
    await ended
    raise Unavailable(f"PostgreSQL ended by itself; see {log_file}.")


async def _until_first(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until the first one ends, then cancel the others; an error of the first is raised."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()


async def _processes(up: Up, supervisor: Supervisor, environ: dict[str, str]) -> sandbox.Quickstart | None:
    configuration = up.configuration
    quickstart = None
    server = configuration.server
    environ = {
        **environ,
        "TEMULA_SERVER_PORT": str(server.port),
        "TEMULA_SERVER_HOST": server.host,
        "TEMULA_DATA_DIR": str(configuration.data.folder),
    }
    if up.with_sandbox:
        stand_in = await _start_stand_in(configuration, supervisor)
        environ["TEMULA_PROVIDERS_STRIPE_SANDBOX_URL"] = stand_in
        providers = msgspec.structs.replace(configuration.providers, stripe_sandbox_url=stand_in)
        async with opened(configuration._replace(providers=providers)) as house:
            quickstart = await sandbox.prepare(house, stand_in)
        up.say("sandbox ready")
    for name in ("api", "worker", "scheduler"):
        await supervisor.start(Child(name, ("-m", "temula.operations.cli", name), environ))
    await until(lambda: _answers("127.0.0.1", server.port, "/readyz"), "The API", 60)
    return quickstart


async def _start_stand_in(configuration: Configuration, supervisor: Supervisor) -> str:
    folder = configuration.data.folder
    port = configuration.providers.emulator_port or _free_port(configuration.server.port + 1, folder / "run")
    state = folder / "emulators" / "stripe.sqlite3"
    state.parent.mkdir(parents=True, exist_ok=True)
    arguments = ("-m", "emulators", "stripe", "--host", "127.0.0.1", "--port", str(port), "--state", str(state))
    await supervisor.start(Child("stripe-stand-in", arguments, {}))
    await until(lambda: _answers("127.0.0.1", port, "/_emulator/health"), "The Stripe stand-in", 30)
    return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _database(
    configuration: Configuration,
) -> AsyncIterator[tuple[str, dict[str, str], Callable[[], "asyncio.Future[int]"]]]:
    """Give the owner's URL, what the children's environment says of the database, and how to wait for its end."""
    if url := configuration.database.url:
        await read_only_check(url)
        yield url, {}, lambda: asyncio.get_running_loop().create_future()
        return
    folder = configuration.data.folder
    server = EmbeddedPostgres(folder / "postgres")
    await server.start()
    file = folder / DATABASE_URL_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(server.url() + "\n")
    try:
        yield (
            server.url(),
            {"TEMULA_DATABASE_APP_URL": server.url("temula_app")},
            lambda: asyncio.ensure_future(server.wait()),
        )
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


def _require_ring(configuration: Configuration) -> None:
    """Make a key ring for a first start; a missing ring of a database that has one before is an error."""
    if configuration.keys.ring or ring_file(configuration).exists():
        key_ring(configuration)
        return
    if configuration.server.production or configuration.database.url:
        raise Misconfigured(
            f"No key ring at {ring_file(configuration)}: run `temula keys new > {ring_file(configuration)}`, chmod it "
            "to 600, and keep a copy; without it stored secrets are lost."
        )
    save_file(new_ring(), ring_file(configuration))


def _require_free_port(server: ServerSettings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            raise Misconfigured(
                f"Port {server.port} cannot be used ({error.strerror}); choose another one: make run PORT=9090"
            ) from None


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


async def _answers(host: str, port: int, path: str) -> bool:
    """Whether the path is answered with 200; a port nobody listens on yet is no news for the log."""
    try:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        async with Http() as http:
            request = Request(method="GET", url=f"http://{host}:{port}{path}", deadline=5)
            return (await http.send(request, policy=None)).status == 200
    except (HttpError, OSError):
        return False


def _say_where(up: Up, quickstart: sandbox.Quickstart | None) -> None:
    base = up.configuration.server.base_url
    up.say("")
    up.say(f"  Home page      {base}/")
    up.say(f"  API            {base}/api/v1")
    up.say(f"  Documentation  {base}/api/docs")
    if quickstart is not None:
        file = sandbox.quickstart_file(up.configuration.data.folder)
        up.say(f"  Sandbox        {_shown(file)}: token, ids, and the password of {quickstart.admin_email}")
        up.say("  Try            temula demo   (in another terminal: .venv/bin/temula demo)")
    up.say("")


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
