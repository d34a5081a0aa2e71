"""Commands that run: up, demo, migrate, and the single processes."""

import os
import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)
    app.command()(migrate)
    for command in (api, worker, scheduler):
        app.command()(command)


def up(
    *,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API", envvar="PORT")] = None,
    sandbox: Annotated[bool, typer.Option(help="Prepare the sandbox organization and its Stripe stand-in")] = True,
) -> None:
    """Start everything: database, API, worker, scheduler and the sandbox. Ctrl-C stops it."""
    import msgspec

    from temula.operations import running
    from temula.operations import up as starting
    from temula.operations.configuration import configure

    running.log_quietly()
    configuration = configure()
    if port is not None:
        server = msgspec.structs.replace(configuration.server, port=port)
        configuration = configuration._replace(server=server)
    asked = starting.Up(configuration, sandbox and not configuration.server.production, _say)
    running.run(lambda stop: starting.serve(asked, stop))


def demo(
    *,
    base_url: Annotated[str | None, typer.Option(help="Where Temula runs; default: var/quickstart.json")] = None,
    pause: Annotated[float, typer.Option(help="Seconds to rest between the acts, for watching")] = 0.0,
) -> None:
    """Play the main job against the running server, through public doors only: sell, pay, deliver, scan, refund."""
    from temula.operations.configuration import configure
    from temula.operations.demo import play

    sys.exit(play(configure().data.folder, base_url, pause))


def migrate(
    *, dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be applied, change nothing")] = False
) -> None:
    """Bring the database's schema up to date, under a lock."""
    import asyncio

    from temula.operations import migrations, running
    from temula.operations.configuration import configure, owner_url

    running.log_quietly()
    names = asyncio.run(migrations.apply(owner_url(configure()), dry_run=dry_run))
    verb = "would apply" if dry_run else "applied"
    typer.echo(f"{verb}: {', '.join(names)}" if names else "the schema is up to date")


def api() -> None:
    """Run the API process alone."""
    from temula.operations import running, serving
    from temula.operations.configuration import configure

    running.log_as_json()
    running.run(lambda stop: serving.serve_api(configure(), stop))


def worker() -> None:
    """Run the worker alone: facts, jobs, webhook deliveries. Any number may run."""
    from temula.operations import running, serving
    from temula.operations.configuration import configure

    running.log_as_json()
    running.run(lambda stop: serving.serve_worker(configure(), stop))


def scheduler() -> None:
    """Run the scheduler alone: what the clock starts. Any number may run; each tick happens once."""
    from temula.operations import running, serving
    from temula.operations.configuration import configure

    running.log_as_json()
    running.run(lambda stop: serving.serve_scheduler(configure(), stop))


def _say(line: str) -> None:
    typer.echo(line)
    if os.environ.get("PYTHONUNBUFFERED") is None:
        sys.stdout.flush()
