"""Commands that look into the log of webhooks: `log` and `stats`."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from temula.operations.cli.shared import OwnOrganization, choice, in_house, looking, own, table

if TYPE_CHECKING:
    import msgspec

    from temula.outbound.schemas.webhooks import LoggedAttempt, StatsView, WholeAttempt
    from temula.outbound.webhooks.model import Sought

WIDE = 164  # columns of a terminal that has room for any attempt in one line
_AGO = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
EndpointOption = Annotated[str | None, typer.Option("--endpoint", help="Only of this endpoint (whe_...)")]
FromOption = Annotated[str | None, typer.Option("--from", help="Since: 2026-11-23T10:15:00Z, or ago: 30m, 12h, 7d")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before: as --from")]
JsonOption = Annotated[bool, typer.Option("--json", help="As the API gives it, in JSON")]


def log(  # noqa: PLR0913 - options, each by its name
    attempt_id: Annotated[
        str | None, typer.Argument(metavar="ATTEMPT", help="One attempt to show whole (dat_...)")
    ] = None,
    *,
    organization: OwnOrganization = None,
    endpoint: EndpointOption = None,
    type_: Annotated[str | None, typer.Option("--type", help="With commas between: exact or registration.*")] = None,
    status: Annotated[str | None, typer.Option(help="404, 5xx, failed, succeeded, or none: no answer")] = None,
    outcome: Annotated[str | None, typer.Option(help="delivered, retried, exhausted or gone")] = None,
    error: Annotated[str | None, typer.Option(help="Why no complete answer came, like timeout")] = None,
    object_: Annotated[str | None, typer.Option("--object", help="What it is about: reg_..., tkt_..., evt_...")] = None,
    message: Annotated[str | None, typer.Option(help="Only of this message (msg_...)")] = None,
    since: FromOption = None,
    until: UntilOption = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to show at most")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Search the log of attempts, newest first, or show one attempt with all that was sent and came back."""
    from temula.operations import catalogue
    from temula.outbound.webhooks import service
    from temula.outbound.webhooks.model import Outcome, Sought, answered

    if attempt_id is not None:
        _show_whole(_whole(own(organization), attempt_id), as_json=as_json)
        return
    sought = Sought(
        endpoint, service.types_of(type_, [kind.TYPE for kind in catalogue.public_facts()]),
        answered(status) if status else None, choice(Outcome, outcome) if outcome else None, error, object_, message,
        _time(since), _time(until),
    )  # fmt: skip
    found = _search(own(organization), sought, most)
    if as_json:
        _print_json(found)
        return
    heads: tuple[str, ...] = ("id", "endpoint", "at (UTC)", "type", "answer", "took", "no.", "outcome")
    rows: list[tuple[str, ...]] = [
        (one.id, one.endpoint_id, f"{one.at:%Y-%m-%d %H:%M:%S}", one.type, str(one.status or one.error or ""),
         f"{one.duration_ms} ms", str(one.number), one.outcome)
        for one in found
    ]  # fmt: skip
    if Console().width < WIDE:
        heads, rows = _in_pairs(heads), [_in_pairs(row) for row in rows]
    table(heads, rows)


def stats(
    *,
    organization: OwnOrganization = None,
    endpoint: EndpointOption = None,
    by: Annotated[str, typer.Option(help="hour or day, of UTC")] = "hour",
    since: FromOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show attempts, failures, retries and latency by hour or day; without times the last 24 hours or 30 days."""
    from temula.operations.wiring import House
    from temula.outbound.schemas.webhooks import StatsChart
    from temula.outbound.webhooks import service
    from temula.outbound.webhooks.model import Step
    from temula.outbound.webhooks.routes.log import chart_view

    named, step, start, end = own(organization), choice(Step, by), _time(since), _time(until)

    async def work(house: House) -> StatsChart:
        async with looking(house, named) as uow:
            return chart_view(await service.stats(uow, step, start, end, endpoint), endpoint)

    chart = in_house(work)
    if as_json:
        _print_json(chart)
        return
    rows = [_row(f"{one.start:%Y-%m-%d %H:%M}", one) for one in chart.data]
    heads = (f"{by} (UTC)", "attempts", "delivered", "failures", "retries", "success", "p50 ms", "p95 ms")
    table(heads, [*rows, _row("total", chart.total)])


WEBHOOKS: dict[str, Callable[..., None]] = {"log": log, "stats": stats}


def _in_pairs(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Put each two cells into one, the second below the first."""
    return tuple(f"{upper}\n{lower}" for upper, lower in zip(cells[::2], cells[1::2], strict=True))


def _search(organization: str, sought: "Sought", most: int) -> "list[LoggedAttempt]":
    """Ask for page after page until there are enough, or the log ends; says how far it is where that takes long."""
    from temula.kernel.pages import MAX_LIMIT, window
    from temula.operations.wiring import House
    from temula.outbound.webhooks import service
    from temula.outbound.webhooks.routes.log import logged_view

    async def work(house: House) -> "list[LoggedAttempt]":
        found: list[LoggedAttempt] = []
        cursor: str | None = None
        with Console(file=sys.stderr).status("Searching the log") as shown:
            while len(found) < most:
                asked = window(house.ring, cursor, min(MAX_LIMIT, most - len(found)), organization, "cli")
                async with looking(house, organization) as uow:
                    page = await service.search(uow, asked, sought)
                found += [logged_view(one) for one in page.attempts]
                if (cursor := page.next_cursor) is None:
                    break
                shown.update(f"Searching the log: {len(found)} found, back to {page.searched_to:%Y-%m-%d %H:%M:%S}")
        return found

    return in_house(work)


def _whole(organization: str, attempt_id: str) -> "WholeAttempt":
    from temula.operations.wiring import House
    from temula.outbound.webhooks import service
    from temula.outbound.webhooks.routes.log import whole_view

    async def work(house: House) -> "WholeAttempt":
        async with looking(house, organization) as uow:
            return whole_view(*await service.attempt(uow, attempt_id))

    return in_house(work)


def _show_whole(one: "WholeAttempt", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        _print_json(one)
        return
    fields = msgspec.structs.asdict(one)
    fields["request_headers"] = "\n".join(f"{name}: {value}" for name, value in one.request_headers.items())
    fields["response_headers"] = "\n".join(": ".join(pair) for pair in one.response_headers or [])
    table(("field", "value"), [(name, "" if value is None else _plain(str(value))) for name, value in fields.items()])


def _plain(text: str) -> str:
    """What a stranger has answered, without anything that a terminal would obey."""
    return escape("".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text))


def _print_json(shown: "msgspec.Struct | list[LoggedAttempt]") -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())


def _row(title: str, one: "StatsView") -> tuple[str, ...]:
    rate = "" if one.success_rate is None else f"{one.success_rate:.1%}"
    figures = (one.attempts, one.delivered, one.failures, one.retries, rate, one.p50_ms, one.p95_ms)
    return (title, *("" if value is None else str(value) for value in figures))


def _time(text: str | None) -> datetime | None:
    """Read a time, or how long ago it is."""
    from temula.kernel.clock import SystemClock
    from temula.kernel.errors import InvalidInput

    if text is None:
        return None
    if (ago := _AGO.fullmatch(text)) is not None:
        return SystemClock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no time: give 2026-11-23T10:15:00Z, or how long ago: 12h.") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
