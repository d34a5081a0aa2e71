"""Commands for developers of receivers: `listen`, `trigger`, and `webhooks tail`, all through the public API."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from temula.operations.cli.shared import table

if TYPE_CHECKING:
    from temula.kernel.http import Http
    from temula.operations.calling import Api

SHOWN = 20
BaseUrl = Annotated[str | None, typer.Option(help="Where Temula runs; default: var/quickstart.json")]
Token = Annotated[
    str | None, typer.Option(envvar="TEMULA_TOKEN", help="API token of a sandbox; default: var/quickstart.json")
]
Count = Annotated[int | None, typer.Option(min=1, help="Stop after so many; without it only Ctrl-C stops")]


def listen(
    *,
    forward_to: Annotated[str, typer.Option(help="Your server, like localhost:3000/hooks")],
    events: Annotated[str, typer.Option(help="Types with commas between: exact, registration.* or *")] = "*",
    count: Count = None,
    base_url: BaseUrl = None,
    token: Token = None,
) -> None:
    """Forward a sandbox's messages to your own server as they happen, signed with a secret that is printed.

    Exit code 1 if your server did not take one of them (with --count).
    """
    from temula.kernel.errors import InvalidInput
    from temula.operations import listening

    url = listening.local_url(forward_to)
    if not events.strip():
        raise InvalidInput("Name types after --events, with commas between, or leave it out to hear of all.")

    async def work(http: "Http", api: "Api", known_token: str) -> bool:
        secret, feed = listening.own_secret(known_token), _Feed("time", "type", "message", "answer", "ms")
        cursor, good, number = await listening.end_of_log(api, events), True, 0
        feed.say(f"Forwarding {events} to {url}")
        feed.say(f"Signing secret: {secret}")
        feed.say("Ready; what happens from now on is forwarded")
        with feed:
            async for message in listening.messages(api, events, cursor, feed.say):
                told = await listening.forward(http, url, secret, message)
                feed.add(
                    told.timestamp, told.type, told.message_id, str(told.status or told.error), str(told.milliseconds)
                )
                good, number = good and told.taken, number + 1
                if number == count:
                    break
        return good

    _play(work, base_url, token)


def trigger(
    type_: Annotated[str | None, typer.Argument(metavar="TYPE", help="Like event.updated; all, if left out")] = None,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Send an example to this endpoint alone (whe_...)")] = None,
    base_url: BaseUrl = None,
    token: Token = None,
) -> None:  # fmt: skip
    """Make something happen in the sandbox from which a message of a type follows, or send an example of it."""
    from temula.operations.calling import Buyer
    from temula.operations.triggering import Trigger

    async def work(http: "Http", api: "Api", _token: str) -> bool:
        acts = Trigger(api, Buyer(http))
        if type_ is None:
            known = (await api.get("/webhooks/event-types"))["data"]
            rows = [
                (one["type"], "yes" if one["type"] in acts.acts else "--endpoint only", one["description"])
                for one in known
            ]
            table(("type", "can happen", "meaning"), rows)
        elif endpoint is not None:
            made = await api.post(f"/webhooks/endpoints/{quote(endpoint, safe='')}/test", {"type": type_})
            typer.echo(f"an example of {type_} is on its way: {made['id']}")
        else:
            typer.echo(f"{type_} follows from {await acts.pull(type_)}")
        return True

    _play(work, base_url, token)


def tail(
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint (whe_...)")] = None,
    count: Count = None,
    base_url: BaseUrl = None,
    token: Token = None,
) -> None:
    """Show the last ten deliveries, then live what goes out, what is tried again, what was given up."""
    from temula.operations import listening

    async def work(_http: "Http", api: "Api", _token: str) -> bool:
        number, old = 0, True
        if endpoint is not None:
            await api.get(f"/webhooks/endpoints/{quote(endpoint, safe='')}")
        with _Feed("time", "type", "delivery", "endpoint", "state", "attempts") as feed:
            async for changed in listening.deliveries(api, endpoint):
                for one in changed:
                    cells = (one["created_at"], one["type"], one["id"], one["endpoint_id"], one["state"])
                    feed.add(*cells, str(one["attempts"]))
                    number += not old
                    if number == count:
                        return True
                old = False
        return True

    _play(work, base_url, token, sandbox=False)


WEBHOOKS = {"tail": tail}


class _Feed:
    """Rows as they come: on a terminal a table of the newest that is drawn anew, elsewhere a line each."""

    def __init__(self, *head: str) -> None:
        self._console = Console()
        self._head = head
        self._rows: deque[tuple[str, ...]] = deque(maxlen=SHOWN)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None

    def __enter__(self) -> "_Feed":
        (self._live or nullcontext()).__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        (self._live or nullcontext()).__exit__(*error)

    def say(self, line: str) -> None:
        """Say something beside the rows."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def add(self, *cells: str) -> None:
        """Show one more row."""
        if self._live is None:
            self.say("  ".join(cells))
            return
        self._rows.append(cells)
        shown = Table(*self._head)
        for row in self._rows:
            shown.add_row(*row)
        self._live.update(shown, refresh=True)


def _play(
    work: "Callable[[Http, Api, str], Awaitable[bool]]",
    base_url: str | None,
    token: str | None,
    *,
    sandbox: bool = True,
) -> None:
    """Call a running Temula until the work is done or Ctrl-C ends it; exit code 1 if it did not come out well."""
    from temula.kernel.errors import Unavailable
    from temula.kernel.http import Http, HttpError
    from temula.operations import calling, running
    from temula.operations.configuration import configure
    from temula.operations.listening import require_sandbox

    running.log_nothing()
    known = calling.access(configure().data.folder, base_url, token)
    outcome: list[bool] = []

    async def whole(stop: asyncio.Event) -> None:
        async with Http(user_agent="Temula-CLI") as http:
            api = calling.Api(http, known.base_url, known.token)
            organization = await calling.greet(api)
            if sandbox:
                require_sandbox(organization)
            working = asyncio.ensure_future(work(http, api, known.token))
            waiting = asyncio.ensure_future(stop.wait())
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if working.done():
                outcome.append(working.result())
            else:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    try:
        running.run(whole)
    except calling.Refused as refused:
        raise Unavailable(refused.detail) from None
    except HttpError as error:
        raise Unavailable(str(error)) from None
    raise typer.Exit(0 if all(outcome) else 1)
