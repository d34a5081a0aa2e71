"""Commands of operators: keys, organizations, tokens, facts, jobs, audit, settings."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temula.operations.cli import keeping, listening, people, privacy, providing
from temula.operations.cli.shared import OrganizationOption, actor_of, choice, in_house, table

if TYPE_CHECKING:
    from temula.operations.wiring import House


def register(app: typer.Typer) -> None:
    """Add the groups of commands."""
    groups: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("keys", "The key ring that seals stored secrets.", {"new": keys_new, "rotate": keys_rotate}),
        (
            "organizations",
            "Tenants.",
            {
                "create": organizations_create,
                "list": organizations_list,
                "change": organizations_change,
            },
        ),
        ("members", "An organization's people.", people.MEMBERS),
        ("teams", "Parts of an organization that run events of their own.", people.TEAMS),
        ("tokens", "API tokens.", {"create": tokens_create, "list": tokens_list, "revoke": tokens_revoke}),
        ("connections", "Accounts with providers.", providing.CONNECTIONS),
        ("callbacks", "What providers told us, where it was not processed.", providing.CALLBACKS),
        (
            "facts",
            "The fact log and its readers.",
            {"consumers": facts_consumers, "rewind": facts_rewind, "renumber": facts_renumber},
        ),
        ("jobs", "Background jobs.", {"dead": jobs_dead, "retry": jobs_retry}),
        ("audit", "The audit log.", {"verify": audit_verify}),
        ("retention", "What is past its time.", keeping.RETENTION),
        ("privacy", "The data of persons.", privacy.PRIVACY),
    )
    for name, text, commands in groups:
        group = typer.Typer(help=text, no_args_is_help=True)
        for verb, command in commands.items():
            group.command(verb)(command)
        app.add_typer(group, name=name)
    app.command("settings")(settings)
    app.command()(listening.listen)
    app.command()(listening.trigger)


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

    chosen = choice(Plan, plan)
    live, twin = in_house(lambda house: service.create_twins(house.database, name=name, plan=chosen, part="cli"))
    typer.echo(f"live     {live.organization_id}\nsandbox  {twin.organization_id}")


def organizations_change(
    organization: Annotated[str, typer.Argument(help="Id of the organization (org_...)")],
    *,
    plan: Annotated[str | None, typer.Option(help="free, starter, pro or enterprise")] = None,
    platform_payments: Annotated[
        bool | None,
        typer.Option(help="May payments go through the platform's account when the organization has none? The platform "
                          "then receives the money"),
    ] = None,
    requests_per_minute: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000, help="API requests a minute for each token; 0: what the plan gives"),
    ] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Switch a feature on; may be repeated")] = None,
    without_feature: Annotated[list[str] | None, typer.Option(help="Switch a feature off; may be repeated")] = None,
) -> None:  # fmt: skip
    """Change an organization's plan, its rate, its features, or whether the platform's account takes its payments."""
    import msgspec

    from temula.domain.organizations import service
    from temula.domain.organizations.model import Organization, Plan

    asked: dict[str, object] = {}
    if plan is not None:
        asked["plan"] = choice(Plan, plan)
    if platform_payments is not None:
        asked["platform_payments"] = platform_payments
    if requests_per_minute is not None:
        asked["requests_per_minute"] = requests_per_minute or None

    async def work(house: "House") -> Organization:
        async with house.database.unit(actor_of(organization)) as uow:
            changed = msgspec.structs.replace(await service.current(uow), **asked)
            changed = changed.toggled(feature or (), without_feature or ())
            await service.change(uow, changed)
        return changed

    now = in_house(work)
    fallback = "may" if now.may_use_platform_payments else "may not"
    typer.echo(f"{now.name}: plan {now.plan}, {now.rate} requests a minute, {fallback} use the platform's account")
    typer.echo(f"features: {', '.join(now.features) or 'none'}")


def organizations_list() -> None:
    """List all organizations."""
    from temula.domain.organizations import service

    found = in_house(lambda house: service.every(house.database))
    table(("id", "name", "mode", "plan"), [(one.organization_id, one.name, one.mode, one.plan) for one in found])


def tokens_create(
    *,
    organization: OrganizationOption,
    name: Annotated[str, typer.Option(help="What it is for")],
    ability: Annotated[list[str], typer.Option(help="resource:action, or * for all; may be repeated")],
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="Days that it counts; for good if left out")
    ] = None,
) -> None:
    """Create an API token; it is shown this once."""
    from datetime import timedelta

    from temula.outbound.callers import service

    async def work(house: "House") -> str:
        async with house.database.unit(actor_of(organization)) as uow:
            expires = uow.now + timedelta(days=expires_days) if expires_days else None
            return (await service.create_token(uow, name=name, abilities=ability, expires_at=expires))[1]

    typer.echo(in_house(work))


def tokens_list(*, organization: OrganizationOption) -> None:
    """List an organization's tokens."""
    from temula.outbound.callers import service

    async def work(house: "House") -> list[tuple[str, ...]]:
        async with house.database.reading(actor_of(organization)) as uow:
            found = await service.tokens(uow)
        return [
            (one.id, one.name, one.hint, " ".join(one.abilities), str(one.last_used_at or "never"),
             "revoked" if one.revoked_at else f"until {one.expires_at}" if one.expires_at else "counts")
            for one in found
        ]  # fmt: skip

    table(("id", "name", "token", "abilities", "last used", "state"), in_house(work))


def tokens_revoke(token_id: str, *, organization: OrganizationOption) -> None:
    """Revoke a token; it is refused everywhere within five seconds."""
    from temula.outbound.callers import service

    async def work(house: "House") -> None:
        async with house.database.unit(actor_of(organization)) as uow:
            await service.revoke_token(uow, token_id)

    in_house(work)
    typer.echo(f"{token_id} is revoked")


def facts_consumers() -> None:
    """List the readers of the fact log and how far they are."""
    from temula.kernel.consumers import cursors

    found = in_house(lambda house: cursors(house.database))
    rows = [(one.name, f"{one.transaction}/{one.position}", str(one.updated_at)) for one in found]
    table(("name", "cursor", "moved"), rows)


def facts_rewind(
    consumer: str, since: Annotated[datetime, typer.Option(help="Read again everything from this time on (UTC)")]
) -> None:
    """Make a reader read again. Parts of the house do nothing twice; `webhooks` sends again, under the same ids."""
    from datetime import UTC

    from temula.kernel.consumers import rewind

    at = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    in_house(lambda house: rewind(house.database, consumer, at))
    typer.echo(f"{consumer} reads again from {at.isoformat()}")


def facts_renumber() -> None:
    """After a restore from a dump, with everything stopped: number the facts anew in the order they have."""
    import asyncio

    from temula.operations.configuration import configure
    from temula.operations.restoring import renumber

    typer.echo(f"{asyncio.run(renumber(configure()))} facts are numbered anew; start Temula again")


def jobs_dead() -> None:
    """List jobs that failed for good."""
    from temula.kernel import jobs

    async def work(house: "House") -> list[jobs.Visible]:
        async with house.database.crossing("listing dead jobs for the operator") as uow:
            return await uow.rows(jobs.Visible, jobs.LIST, "dead", 500)

    found = in_house(work)
    rows = [(one.id, one.kind, one.organization_id, str(one.tries), one.last_error or "") for one in found]
    table(("id", "kind", "organization", "tries", "last error"), rows)


def jobs_retry(job_id: Annotated[str | None, typer.Argument(help="One job; all dead ones if left out")] = None) -> None:
    """Let dead jobs run again."""
    from temula.kernel import jobs
    from temula.kernel.errors import NotFound

    async def work(house: "House") -> int:
        async with house.database.crossing("reviving dead jobs for the operator") as uow:
            uow.ring(jobs.TOPIC)
            return await uow.run(jobs.REVIVE, job_id, uow.now)

    revived = in_house(work)
    if job_id is not None and not revived:
        raise NotFound(f"There is no dead job {job_id}; `temula jobs dead` lists them.")
    typer.echo(f"{revived} jobs will run again")


def audit_verify() -> None:
    """Recompute every organization's audit chain; exit code 1 if one is broken."""
    from temula.operations.auditing import verify

    chains = in_house(lambda house: verify(house.database))
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
    table(("variable", "default", "meaning"), rows)
