"""Commands about webhook endpoints."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from temula.operations.cli import keeping, listening, replaying, webhook_log
from temula.operations.cli.shared import OwnOrganization, acting, choice, in_house, looking, own, table

if TYPE_CHECKING:
    from temula.kernel.database import UnitOfWork
    from temula.outbound.webhooks.model import Endpoint
    from temula.outbound.webhooks.service import Endpoints

T = TypeVar("T")
UrlOption = Annotated[str | None, typer.Option(help="Where messages go: https://...")]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", help="Exact, registration.* or *; may be repeated; all if left out")
]
EventOption = Annotated[list[str] | None, typer.Option("--event", help="Only of this event; may be repeated")]
TeamOption = Annotated[str | None, typer.Option("--team", help="Only of this team's events (team_...)")]
FilterOption = Annotated[
    str | None, typer.Option("--filter", help="A condition on the message, in JSON; null removes it")
]
PayloadOption = Annotated[str | None, typer.Option(help="fat, or thin: ids only")]
MaskOption = Annotated[list[str] | None, typer.Option(help="A path to leave out: data.location; may be repeated")]
HeaderOption = Annotated[list[str] | None, typer.Option(help="Name: value, sent with each message; may be repeated")]
RateOption = Annotated[int | None, typer.Option(help="Messages a second at most; 0: no limit")]
AtOnceOption = Annotated[int | None, typer.Option(help="Messages on the way at once at most; 0: no limit")]
OrderOption = Annotated[str | None, typer.Option(help="What keeps its order: none, registration or ticket")]
MetadataOption = Annotated[list[str] | None, typer.Option(help="name=value, for your own use; may be repeated")]
PartnerOption = Annotated[
    str | None, typer.Option(help='Whose it is: {"reference": ..., "types": [...], "event_ids": [...] or null}')
]
DescriptionOption = Annotated[str | None, typer.Option(help="What it is for")]
EndpointArgument = Annotated[str, typer.Argument(help="Id of the endpoint (whe_...)")]


def endpoints_list(
    *,
    organization: OwnOrganization = None,
    state: Annotated[str | None, typer.Option(help="Only enabled, paused or disabled ones")] = None,
    team: TeamOption = None,
    partner: Annotated[str | None, typer.Option(help="Only this partner's, by its reference")] = None,
) -> None:
    """List an organization's webhook endpoints, newest first."""
    from temula.kernel.pages import MAX_LIMIT, window
    from temula.operations.wiring import House
    from temula.outbound.webhooks import service
    from temula.outbound.webhooks.model import EndpointState

    named = own(organization)
    narrowed = service.Narrowed(choice(EndpointState, state) if state else None, team, partner)

    async def work(house: House) -> "list[Endpoint]":
        found: list[Endpoint] = []
        cursor: str | None = None
        async with looking(house, named) as uow:
            while True:
                asked = window(house.ring, cursor, MAX_LIMIT, named, "cli")
                page = await service.listed(uow, asked, narrowed)
                found += page.items
                if (cursor := page.next_cursor) is None:
                    return found

    rows = [(one.id, one.url, one.state, " ".join(one.types), one.description) for one in in_house(work)]
    if rows:
        table(("id", "url", "state", "types", "description"), rows)
    else:
        typer.echo("There are none; `temula webhooks endpoints create https://...` adds one.")


def endpoints_show(endpoint_id: EndpointArgument, *, organization: OwnOrganization = None) -> None:
    """Show all that is known of an endpoint but its secrets."""
    from temula.outbound.webhooks import service

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> list[tuple[str, str]]:
        return _rows(await service.get(uow, endpoint_id), endpoints)

    table(("field", "value"), _acting(organization, work))


def endpoints_create(  # noqa: PLR0913 - options, each by its name
    url: Annotated[str, typer.Argument(help="Where messages go: https://...")],
    *,
    organization: OwnOrganization = None,
    type_: TypeOption = None,
    event: EventOption = None,
    team: TeamOption = None,
    filter_: FilterOption = None,
    payload: PayloadOption = None,
    mask: MaskOption = None,
    header: HeaderOption = None,
    rate_limit: RateOption = None,
    max_concurrency: AtOnceOption = None,
    order_by: OrderOption = None,
    metadata: MetadataOption = None,
    partner: PartnerOption = None,
    description: DescriptionOption = None,
) -> None:
    """Add an endpoint; its signing secret is shown this once."""
    fields = _fields(
        url=url, types=type_, event_ids=event, team_id=team, filter_=filter_, payload=payload, mask=mask, header=header,
        rate_limit=rate_limit, max_concurrency=max_concurrency, order_by=order_by, metadata=metadata,
        partner=partner, description=description,
    )  # fmt: skip

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> tuple[str, str]:
        endpoint, secret = await endpoints.create(uow, fields)
        return endpoint.id, secret

    endpoint_id, secret = _acting(organization, work)
    typer.echo(f"endpoint  {endpoint_id}\nsecret    {secret}")


def endpoints_update(  # noqa: PLR0913 - options, each by its name
    endpoint_id: EndpointArgument,
    *,
    organization: OwnOrganization = None,
    url: UrlOption = None,
    type_: TypeOption = None,
    event: EventOption = None,
    team: TeamOption = None,
    filter_: FilterOption = None,
    payload: PayloadOption = None,
    mask: MaskOption = None,
    header: HeaderOption = None,
    rate_limit: RateOption = None,
    max_concurrency: AtOnceOption = None,
    order_by: OrderOption = None,
    metadata: MetadataOption = None,
    partner: PartnerOption = None,
    description: DescriptionOption = None,
) -> None:
    """Change an endpoint; what is left out stays, and what is given replaces all that was there of it."""
    from temula.kernel.errors import InvalidInput

    fields = _fields(
        url=url, types=type_, event_ids=event, team_id=team, filter_=filter_, payload=payload, mask=mask, header=header,
        rate_limit=rate_limit, max_concurrency=max_concurrency, order_by=order_by, metadata=metadata,
        partner=partner, description=description,
    )  # fmt: skip
    if not fields:
        raise InvalidInput("Nothing is to be changed; `temula webhooks endpoints update --help` lists what can be.")

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> list[tuple[str, str]]:
        return _rows(await endpoints.update(uow, endpoint_id, fields), endpoints)

    table(("field", "value"), _acting(organization, work))


def endpoints_pause(
    endpoint_id: EndpointArgument,
    *,
    organization: OwnOrganization = None,
    reason: Annotated[str | None, typer.Option(help="Why, for who looks at it later")] = None,
) -> None:
    """Keep what comes for an endpoint until it is resumed."""

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> None:
        await endpoints.pause(uow, endpoint_id, reason)

    _acting(organization, work)
    typer.echo(f"{endpoint_id} is paused")


def endpoints_resume(endpoint_id: EndpointArgument, *, organization: OwnOrganization = None) -> None:
    """Send to a paused or disabled endpoint again, and what was kept for it."""

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> None:
        await endpoints.resume(uow, endpoint_id)

    _acting(organization, work)
    typer.echo(f"{endpoint_id} is enabled")


def endpoints_rotate(
    endpoint_id: EndpointArgument,
    *,
    organization: OwnOrganization = None,
    overlap_hours: Annotated[int, typer.Option(min=0, max=168, help="Hours that the previous secret signs too")] = 24,
) -> None:
    """Give an endpoint a new signing secret, shown this once."""
    from datetime import timedelta

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> str:
        return (await endpoints.rotate(uow, endpoint_id, timedelta(hours=overlap_hours)))[1]

    typer.echo(_acting(organization, work))


def endpoints_test(
    endpoint_id: EndpointArgument,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Of which type an example is sent")],
    *,
    organization: OwnOrganization = None,
) -> None:
    """Send a test message to one endpoint; a worker delivers it."""

    async def work(uow: "UnitOfWork", endpoints: "Endpoints") -> str:
        return await endpoints.test(uow, endpoint_id, type_)

    typer.echo(f"{_acting(organization, work)} is on its way")


def endpoints_delete(
    endpoint_id: EndpointArgument,
    *,
    organization: OwnOrganization = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be lost, change nothing")] = False,
) -> None:
    """Remove an endpoint and what waits for it; the log of what it was sent stays its time."""
    from temula.outbound.webhooks import service

    async def work(uow: "UnitOfWork", _endpoints: "Endpoints") -> service.Waits:
        await service.get(uow, endpoint_id)
        waits = await service.waits(uow, endpoint_id)
        if not dry_run:
            await service.delete(uow, endpoint_id)
        return waits

    said = f"with {_acting(organization, work)} waiting for it"
    typer.echo(f"would delete {endpoint_id}, {said}" if dry_run else f"{endpoint_id} is deleted, {said}")


ENDPOINTS: dict[str, Callable[..., None]] = {
    "list": endpoints_list, "show": endpoints_show, "create": endpoints_create, "update": endpoints_update,
    "pause": endpoints_pause, "resume": endpoints_resume, "rotate": endpoints_rotate, "test": endpoints_test,
    "delete": endpoints_delete,
}  # fmt: skip


def group() -> typer.Typer:
    """Give the group `webhooks`, which all commands about webhooks join."""
    webhooks = typer.Typer(help="Signed messages about what happens.", no_args_is_help=True)
    for verb, command in {**listening.WEBHOOKS, **webhook_log.WEBHOOKS}.items():
        webhooks.command(verb)(command)
    endpoints = typer.Typer(help="Where an organization wants messages.", no_args_is_help=True)
    for verb, command in ENDPOINTS.items():
        endpoints.command(verb)(command)
    webhooks.add_typer(endpoints, name="endpoints")
    archives = typer.Typer(help="Days of the log that are past their time.", no_args_is_help=True)
    for verb, command in keeping.ARCHIVES.items():
        archives.command(verb)(command)
    webhooks.add_typer(archives, name="archives")
    replaying.join(webhooks)
    return webhooks


def _acting(organization: str | None, work: "Callable[[UnitOfWork, Endpoints], Awaitable[T]]") -> T:
    return acting(own(organization), lambda house, uow: work(uow, house.endpoints))


def _fields(
    *, filter_: str | None, header: list[str] | None, metadata: list[str] | None, partner: str | None, **others: Any
) -> dict[str, object]:
    """What was given, as the service takes it; an option that was left out is not there."""
    import msgspec

    from temula.outbound.schemas.webhooks import PartnerGrant

    fields = {name: value for name, value in others.items() if value not in (None, [])}
    for name in ("rate_limit", "max_concurrency"):
        if name in fields:
            fields[name] = fields[name] or None
    if filter_ is not None:
        fields["filter"] = _json(filter_, Any)
    if partner is not None:
        grant = _json(partner, PartnerGrant | None)
        fields["partner"] = msgspec.structs.asdict(grant) if grant else None
    if header:
        fields["headers"] = _pairs(header, ":", "A header is Name: value.")
    if metadata:
        fields["metadata"] = _pairs(metadata, "=", "Metadata is name=value.")
    return fields


def _json(text: str, into: Any) -> Any:
    import msgspec

    from temula.kernel.errors import InvalidInput

    try:
        return msgspec.json.decode(text, type=into)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{text[:40]!r} is not the JSON that is asked for: {error}.") from None


def _pairs(texts: list[str], mark: str, wrong: str) -> dict[str, str]:
    from temula.kernel.errors import InvalidInput

    pairs = [text.partition(mark) for text in texts]
    if not all(found for _, found, _ in pairs):
        raise InvalidInput(wrong)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _rows(endpoint: "Endpoint", endpoints: "Endpoints") -> list[tuple[str, str]]:
    from temula.kernel.clock import rfc3339

    e = endpoint
    headers = ", ".join(f"{name}: {value}" for name, value in endpoints.shown_headers(e).items())
    granted = f"{e.partner_id}: {' '.join(e.granted_types or [])}" if e.partner_id else ""
    rows = {
        "id": e.id, "url": e.url, "description": e.description, "state": e.state, "reason": e.state_reason,
        "types": " ".join(e.types), "events": " ".join(e.event_ids) or "all", "team": e.team_id,
        "filter": e.filter.decode() if e.filter else None, "payload": e.payload, "mask": " ".join(e.mask),
        "headers": headers, "rate limit": e.rate_limit, "at once": e.max_concurrency, "order by": e.order_by,
        "metadata": e.metadata.decode(), "partner": granted, "failures in a row": e.failures,
        "failing since": rfc3339(e.failing_since) if e.failing_since else None,
        "previous secret until": rfc3339(e.previous_until) if e.previous_until else None,
        "created": rfc3339(e.created_at), "changed": rfc3339(e.updated_at),
    }  # fmt: skip
    return [(name, "" if value is None else str(value)) for name, value in rows.items()]
