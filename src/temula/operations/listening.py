"""A sandbox's messages for a developer's own server: read by the public API, signed anew, forwarded."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from temula.kernel.clock import SystemClock
from temula.kernel.errors import InvalidInput, Unavailable
from temula.kernel.http import Http, HttpError, Request
from temula.kernel.stringify import stringify
from temula.operations.calling import Api, Refused
from temula.outbound.webhooks.model import DEADLINE, READ_CAP, signed_headers

LOOK_EVERY = 0.5
AGAIN_AFTER = 2.0
PAGE = 100
BEFORE = 10  # deliveries that are shown of what was before one looked


class Forwarded(NamedTuple):
    """A message that was forwarded, and what the local server said: a status, or why there is none."""

    message_id: str
    type: str
    timestamp: str
    status: int | None
    error: str | None
    milliseconds: int

    @property
    def taken(self) -> bool:
        """Whether Temula would count it as delivered."""
        return self.status is not None and 200 <= self.status < 300


def own_secret(token: str) -> str:
    """Give the secret that messages are signed with: the same each time for one token, and of no other use."""
    key = hmac.digest(token.encode(), b"temula listen", hashlib.sha256)
    return "whsec_" + base64.b64encode(key).decode()


def require_sandbox(organization: dict[str, Any]) -> None:
    """Refuse a live organization: its messages are about people, and belong on no developer's machine."""
    if organization["mode"] != "sandbox":
        raise InvalidInput(f"{organization['name']} is a live organization; listen with a token of its sandbox twin.")


def local_url(given: str) -> str:
    """Give the whole address of a developer's server: `localhost:3000` is enough. Raises `InvalidInput`."""
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or a bracket that is left open
        good = False
    if not good or not given.isprintable() or " " in given:
        raise InvalidInput(f"{given!r} is no address of a server; give one like http://localhost:3000/hooks.")
    return url


async def end_of_log(api: Api, types: str) -> str:
    """Give the cursor behind everything that has happened so far; raises `Refused` if a type is none."""
    page = await api.get(f"/webhooks/messages?types={quote(types)}&after=latest")
    return str(page["next_cursor"])


async def messages(api: Api, types: str, cursor: str, say: Callable[[str], None]) -> AsyncIterator[dict[str, Any]]:
    """Give messages as they happen, each once, without an end; a server that is away is waited for."""
    clock, away = SystemClock(), False
    while True:
        try:
            page = await api.get(f"/webhooks/messages?types={quote(types)}&limit={PAGE}&after={cursor}")
        except HttpError as error:
            if not away:
                say(f"Temula is away ({error.code}); waiting for it")
            away = True
            await clock.sleep(AGAIN_AFTER)
            continue
        except Refused as refused:
            if refused.status < 500:
                raise Unavailable(refused.detail) from None
            await clock.sleep(AGAIN_AFTER)
            continue
        if away:
            say("Temula is back")
            away = False
        for message in page["data"]:
            yield message
        cursor = page["next_cursor"]
        if not page["has_more"]:
            await clock.sleep(LOOK_EVERY)


async def forward(http: Http, url: str, secret: str, message: dict[str, Any]) -> Forwarded:
    """Post a message as Temula would: the same bytes, signed in both ways with `secret`, once."""
    clock, body = SystemClock(), stringify(message)
    headers = signed_headers(message["event_id"], body, clock.now(), [secret])
    request = Request("POST", url, headers, body, DEADLINE, READ_CAP)
    began, status, error = clock.monotonic(), None, None
    try:
        status = (await http.send(request, policy=None, secrets=(url,))).status
    except HttpError as failed:
        error = failed.code
    took = round((clock.monotonic() - began) * 1000)
    return Forwarded(message["event_id"], message["event_type"], message["timestamp"], status, error, took)


async def deliveries(api: Api, endpoint_id: str | None) -> AsyncIterator[list[dict[str, Any]]]:
    """Give the last deliveries there are, then those that are new or have changed, oldest first; without an end."""
    seen: dict[str, tuple[Any, ...]] | None = None
    narrowed = f"&endpoint_id={quote(endpoint_id)}" if endpoint_id else ""
    while True:
        page = (await api.get(f"/webhooks/deliveries?limit={PAGE}{narrowed}"))["data"]
        if seen is None:
            yield page[:BEFORE][::-1]
        elif changed := [one for one in reversed(page) if seen.get(one["id"]) != (one["state"], one["attempts"])]:
            yield changed
        seen = {one["id"]: (one["state"], one["attempts"]) for one in page}
        await asyncio.sleep(LOOK_EVERY)
