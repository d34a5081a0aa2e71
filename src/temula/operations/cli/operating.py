"""Commands of operators: keys, organizations, tokens, connections, facts, jobs, audit, settings."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from temula.operations.wiring import House

T = TypeVar("T")
OrganizationOption = Annotated[str, typer.Option("--organization", help="Id of the organization (org_...)")]


def register(app: typer.Typer) -> None:
    """Add the groups of commands."""
    groups: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("keys", "The key ring that seals stored secrets.", {"new": keys_new, "rotate": keys_rotate}),
        ("organizations", "Tenants.", {"create": organizations_create, "list": organizations_list}),
        ("tokens", "API tokens.", {"create": tokens_create, "list": tokens_list, "revoke": tokens_revoke}),
        ("connections", "Accounts with providers.", {"add": connections_add, "list": connections_list}),
        ("facts", "The fact log and its readers.", {"consumers": facts_consumers, "rewind": facts_rewind}),
        ("jobs", "Background jobs.", {"dead": jobs_dead, "retry": jobs_retry}),
        ("audit", "The audit log.", {"verify": audit_verify}),
    )
    for name, text, commands in groups:
        group = typer.Typer(help=text, no_args_is_help=True)
        for verb, command in commands.items():
            group.command(verb)(command)
        app.add_typer(group, name=name)
    app.command("settings")(settings)


def keys_new() -> None:
    """Print a new key ring. Store it where only Temula reads it, and keep a copy: without it secrets are lost."""
    from temula.kernel.crypto import new_ring

    typer.echo(new_ring().dump().decode())


def keys_rotate() -> None:
    """Make a new primary key and re-wrap every stored secret under it; repeat it if it was interrupted."""
    from temula.operations import rotation

    counted = asyncio.run(rotation.rotate())
    typer.echo(f"{counted} secrets are under the new key; keys that nothing needs any more were removed.")


def organizations_create(
    name: str, plan: Annotated[str, typer.Option(help="free, starter, pro or enterprise")] = "starter"
) -> None:
    """Create a live organization and its sandbox twin."""
    from temula.domain.organizations import service
    from temula.domain.organizations.model import Plan

    chosen = _choice(Plan, plan)
    live, twin = _in_house(lambda house: service.create_twins(house.database, name=name, plan=chosen, part="cli"))
    typer.echo(f"live     {live.organization_id}\nsandbox  {twin.organization_id}")


def organizations_list() -> None:
    """List all organizations."""
    from temula.domain.organizations import service

    found = _in_house(lambda house: service.every(house.database))
    _table(("id", "name", "mode", "plan"), [(one.organization_id, one.name, one.mode, one.plan) for one in found])


def tokens_create(
    *,
    organization: OrganizationOption,
    name: Annotated[str, typer.Option(help="What it is for")],
    ability: Annotated[list[str], typer.Option(help="resource:action, or * for all; may be repeated")],
) -> None:
    """Create an API token; it is shown this once."""
    from temula.outbound.callers import service

    async def work(house: "House") -> str:
        async with house.database.unit(_actor(organization)) as uow:
            return (await service.create_token(uow, name=name, abilities=ability))[1]

    typer.echo(_in_house(work))


def tokens_list(*, organization: OrganizationOption) -> None:
    """List an organization's tokens."""
    from temula.outbound.callers import service

    async def work(house: "House") -> list[tuple[str, ...]]:
        async with house.database.reading(_actor(organization)) as uow:
            found = await service.tokens(uow)
        return [
            (one.id, one.name, one.hint, " ".join(one.abilities), str(one.last_used_at or "never"),
             "revoked" if one.revoked_at else "counts")
            for one in found
        ]  # fmt: skip

    _table(("id", "name", "token", "abilities", "last used", "state"), _in_house(work))


def tokens_revoke(token_id: str, *, organization: OrganizationOption) -> None:
    """Revoke a token; it is refused everywhere within five seconds."""
    from temula.outbound.callers import service

    async def work(house: "House") -> None:
        async with house.database.unit(_actor(organization)) as uow:
            await service.revoke_token(uow, token_id)

    _in_house(work)
    typer.echo(f"{token_id} is revoked")


def connections_add(
    provider: Annotated[str, typer.Argument(help="Name of the provider, like stripe")],
    *,
    organization: OrganizationOption,
    kind: Annotated[str, typer.Option(help="What it is for")] = "payments",
) -> None:
    """Connect an account with a provider; its credentials are asked for and never shown again."""
    from temula.operations import connecting

    manifest, mode = _in_house(lambda house: connecting.look(house, organization, kind, provider))
    given = {one.name: typer.prompt(one.label, hide_input=one.secret) for one in manifest.credentials}
    url = _in_house(lambda house: connecting.connect(house, organization, manifest, mode, given))
    typer.echo(f"connected; let {manifest.title} call back at\n{url}\nfor: {', '.join(manifest.callbacks)}")


def connections_list(*, organization: OrganizationOption) -> None:
    """List an organization's connections."""
    from temula.domain.connections import service

    async def work(house: "House") -> list[tuple[str, ...]]:
        async with house.database.reading(_actor(organization)) as uow:
            found = await service.listed(uow)
        return [(one.id, one.kind, one.provider, one.mode, f"...{one.hint}", str(one.enabled)) for one in found]

    _table(("id", "kind", "provider", "mode", "key", "in use"), _in_house(work))


def facts_consumers() -> None:
    """List the readers of the fact log and how far they are."""
    from temula.kernel.consumers import cursors

    found = _in_house(lambda house: cursors(house.database))
    rows = [(one.name, f"{one.transaction}/{one.position}", str(one.updated_at)) for one in found]
    _table(("name", "cursor", "moved"), rows)


def facts_rewind(
    consumer: str, since: Annotated[datetime, typer.Option(help="Read again everything from this time on (UTC)")]
) -> None:
    """Make a reader read again; what it did before it does not do twice."""
    from datetime import UTC

    from temula.kernel.consumers import rewind

    at = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    _in_house(lambda house: rewind(house.database, consumer, at))
    typer.echo(f"{consumer} reads again from {at.isoformat()}")


def jobs_dead() -> None:
    """List jobs that failed for good."""
    from temula.kernel import jobs

    async def work(house: "House") -> list[jobs.Visible]:
        async with house.database.crossing("listing dead jobs for the operator") as uow:
            return await uow.rows(jobs.Visible, jobs.LIST, "dead", 500)

    found = _in_house(work)
    rows = [(one.id, one.kind, one.organization_id, str(one.tries), one.last_error or "") for one in found]
    _table(("id", "kind", "organization", "tries", "last error"), rows)


def jobs_retry(job_id: Annotated[str | None, typer.Argument(help="One job; all dead ones if left out")] = None) -> None:
    """Let dead jobs run again."""
    from temula.kernel import jobs

    async def work(house: "House") -> int:
        async with house.database.crossing("reviving dead jobs for the operator") as uow:
            uow.ring(jobs.TOPIC)
            return await uow.run(jobs.REVIVE, job_id, uow.now)

    typer.echo(f"{_in_house(work)} jobs will run again")


def audit_verify() -> None:
    """Recompute every organization's audit chain; exit code 1 if one is broken."""
    from temula.operations.auditing import verify

    chains = _in_house(lambda house: verify(house.database))
    broken = [chain for chain in chains if chain.broken_at is not None]
    for chain in broken:
        typer.echo(f"{chain.organization_id}: broken at entry {chain.broken_at}", err=True)
    typer.echo(f"{len(chains)} chains, {sum(chain.entries for chain in chains)} entries, {len(broken)} broken")
    raise typer.Exit(1 if broken else 0)


def settings() -> None:
    """List every setting with its default and meaning."""
    from temula.kernel.settings import document
    from temula.operations.settings import PARTS

    rows = [(one.variable, one.default, one.description) for part in PARTS for one in document(part)]
    _table(("variable", "default", "meaning"), rows)


def _in_house(work: "Callable[[House], Awaitable[T]]") -> T:
    from temula.operations import running
    from temula.operations.configuration import configure
    from temula.operations.wiring import opened

    running.log_quietly()

    async def run() -> T:
        async with opened(configure()) as house:
            return await work(house)

    return asyncio.run(run())


def _actor(organization: str):  # type: ignore[no-untyped-def]
    from temula.kernel.errors import InvalidInput
    from temula.kernel.ids import ORGANIZATION, InvalidId
    from temula.kernel.tenancy import system

    try:
        return system("cli", ORGANIZATION.parse(organization))
    except InvalidId as error:
        raise InvalidInput(str(error)) from None


def _choice(kind: type[T], text: str) -> T:
    from temula.kernel.errors import InvalidInput

    try:
        return kind(text)  # type: ignore[call-arg]
    except ValueError:
        names = ", ".join(str(one.value) for one in kind)  # type: ignore[attr-defined]
        raise InvalidInput(f"{text!r} is not one of: {names}.") from None


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*head)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)
