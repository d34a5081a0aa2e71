"""Commands about replays: begin one and watch it, list them, cancel one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from temula.operations.cli.shared import OwnOrganization, acting, choice, in_house, looking, own, table

if TYPE_CHECKING:
    from datetime import datetime

    from temula.kernel.database import UnitOfWork
    from temula.operations.wiring import House
    from temula.outbound.webhooks.model import Progress
    from temula.outbound.webhooks.service import Preview, ReplayAsked

LOOK_EVERY = 0.5
AS_FAST_AS_TAKEN = 0
ReplayArgument = Annotated[str, typer.Argument(help="Id of the replay (rpl_...)")]


def replay(  # noqa: PLR0913 - options, each by its name
    delivery: Annotated[str | None, typer.Argument(help="One delivery (dlv_...), and nothing else")] = None,
    *,
    organization: OwnOrganization = None,
    kind: Annotated[str | None, typer.Option(help="filter: what the log has; failed; missing")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only to this endpoint (whe_...); all if left out")] = None,
    since: Annotated[str | None, typer.Option(help="From when on: 2026-11-23T10:15:00Z, or 90m, 24h, 7d ago")] = None,
    until: Annotated[str | None, typer.Option(help="Until when")] = None,
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="Exact, registration.* or *; may be repeated")
    ] = None,
    event: Annotated[str | None, typer.Option("--event", help="Only of this event (evt_...)")] = None,
    outcome: Annotated[list[str] | None, typer.Option(help="delivered, retried, exhausted or gone; repeatable")] = None,
    status: Annotated[list[str] | None, typer.Option(help="2xx, 3xx, 4xx, 5xx or none; may be repeated")] = None,
    rate: Annotated[
        int, typer.Option(min=AS_FAST_AS_TAKEN, help="Messages a second at each endpoint; 0: as fast as it takes them")
    ] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and show some, and do nothing")] = False,
    watch: Annotated[bool, typer.Option(help="Show how far it is until it is over; Ctrl-C leaves it running")] = True,
) -> None:
    """Send messages again: the same ids and bytes, behind everything that is new."""
    from temula.kernel.errors import InvalidInput

    if (delivery is None) == (kind is None):
        raise InvalidInput("Name one delivery, or a --kind: filter, failed or missing.")
    named = own(organization)
    if delivery is not None:
        typer.echo(f"{acting(named, lambda house, uow: _one(uow, delivery))} is on its way")
        return
    asked = _asked(
        kind or "", endpoint, rate, types=type_ or None, event_id=event, outcomes=outcome or None,
        statuses=status or None, since=since, until=until,
    )  # fmt: skip
    if dry_run:
        _show(acting(named, lambda house, uow: house.replays.preview(uow, asked)))
        return
    begun = acting(named, lambda house, uow: house.replays.create(uow, asked))
    typer.echo(begun.id)
    if watch:
        _watch(named, begun.id)


def replays_list(*, organization: OwnOrganization = None) -> None:
    """List an organization's replays, newest first, with how far each is."""
    from temula.kernel.pages import MAX_LIMIT, window
    from temula.outbound.webhooks.service import replays as service

    named = own(organization)

    async def work(house: "House") -> "list[Progress]":
        found: list[Progress] = []
        cursor: str | None = None
        async with looking(house, named) as uow:
            while True:
                page = await service.listed(uow, window(house.ring, cursor, MAX_LIMIT, named, "cli replays"))
                found += page.items
                if (cursor := page.next_cursor) is None:
                    return found

    rows = [
        (
            one.id, one.kind, one.endpoint_id or "all", one.state, str(one.matched), str(one.delivered),
            str(one.failed), str(one.waiting),
        )
        for one in in_house(work)
    ]  # fmt: skip
    table(("id", "kind", "endpoint", "state", "matched", "delivered", "failed", "waiting"), rows)


def replays_show(replay_id: ReplayArgument, *, organization: OwnOrganization = None) -> None:
    """Show what was asked for and how far it is, until it is over; Ctrl-C leaves it running."""
    _watch(own(organization), replay_id)


def replays_cancel(replay_id: ReplayArgument, *, organization: OwnOrganization = None) -> None:
    """Send nothing more of a replay; what was sent stays."""
    after = acting(own(organization), lambda house, uow: house.replays.cancel(uow, replay_id))
    typer.echo(f"{replay_id} is {after.state}: {after.delivered} of {after.matched} were delivered")


REPLAYS: dict[str, Callable[..., None]] = {"list": replays_list, "show": replays_show, "cancel": replays_cancel}


def join(webhooks: typer.Typer) -> None:
    """Add the commands to the group of webhooks."""
    webhooks.command("replay")(replay)
    replays = typer.Typer(help="Sending again, and how far that is.", no_args_is_help=True)
    for verb, command in REPLAYS.items():
        replays.command(verb)(command)
    webhooks.add_typer(replays, name="replays")


async def _one(uow: "UnitOfWork", delivery_id: str) -> str:
    from temula.outbound.webhooks import service

    return (await service.replay(uow, delivery_id)).id


def _asked(
    kind: str, endpoint: str | None, rate: int, *, since: str | None, until: str | None, **narrowed: Any
) -> "ReplayAsked":
    from temula.outbound.webhooks.model import Criteria, ReplayKind
    from temula.outbound.webhooks.service import ReplayAsked

    criteria = Criteria(since=_time(since, "--since"), until=_time(until, "--until"), **narrowed)
    return ReplayAsked(choice(ReplayKind, kind), criteria, endpoint, rate or None)


def _time(text: str | None, option: str) -> "datetime | None":
    from datetime import datetime, timedelta

    from temula.kernel.clock import SystemClock
    from temula.kernel.errors import InvalidInput

    if text is None:
        return None
    if text[:-1].isascii() and text[:-1].isdigit() and len(text) <= 7 and text[-1] in "mhd":
        ago = timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[text[-1]]: int(text[:-1])})
        return SystemClock().now() - ago
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput(f"{option} is a time like 2026-11-23T10:15:00Z, or how long ago: 90m, 24h, 7d.")
    return at


def _show(preview: "Preview") -> None:
    typer.echo(f"{preview.matched} messages{'' if preview.complete else ' at least'} would be sent; nothing was done")
    if preview.sample:
        rows = [(one.message_id, one.type, endpoint_id) for endpoint_id, one in preview.sample]
        table(("id", "type", "endpoint"), rows)


def _watch(organization: str, replay_id: str) -> None:
    """Show how far a replay is, until it is over or somebody presses Ctrl-C, which leaves it running."""

    async def run(house: "House") -> "Progress":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from temula.outbound.webhooks.service import replays as service

        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=Console(), transient=True,
        )  # fmt: skip
        with bar:
            line = bar.add_task("counting", total=None)
            while True:
                async with looking(house, organization) as uow:
                    shown = await service.get(uow, replay_id)
                bar.update(
                    line, description=_described(shown), completed=shown.delivered + shown.failed,
                    total=None if shown.counting else shown.matched,
                )  # fmt: skip
                if shown.finished_at is not None:
                    return shown
                await house.database.clock.sleep(LOOK_EVERY)

    try:
        over = in_house(run)
    except KeyboardInterrupt:
        cancel = f"temula webhooks replays cancel {replay_id} --organization {organization}"
        typer.echo(f"{replay_id} goes on without you; to cancel it: {cancel}")
        raise typer.Exit(130) from None
    said = f"{replay_id} is {over.state}: {over.delivered} delivered, {over.failed} failed, {over.matched} matched"
    typer.echo(said)
    raise typer.Exit(1 if over.failed else 0)


def _described(shown: "Progress") -> str:
    if shown.counting:
        return f"counting, {shown.matched} so far"
    held = f", {len(shown.held)} endpoints take nothing now" if shown.held else ""
    return f"{shown.state}, {shown.waiting} wait{held}"
