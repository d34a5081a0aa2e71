"""What is asked of an endpoint, checked field by field; each refusal points to its place (RFC 6901)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from temula.domain.events import service as events
from temula.domain.organizations import service as organizations
from temula.kernel.addresses import AddressPolicy, AddressRefused, check_url
from temula.kernel.crypto import KeyRing
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.http import HeaderRefused, check_customer_headers
from temula.kernel.ids import EVENT, TEAM, InvalidId
from temula.outbound.webhooks.errors import FilterInvalid, HeadersRefused, UrlRefused
from temula.outbound.webhooks.model import (
    Endpoint,
    EndpointState,
    FilterRefused,
    OrderBy,
    Payload,
    covers,
    maskable,
    parse,
    secret_context,
)

MOST_TYPES = 100
MOST_EVENTS = 1000
MOST_PATHS = 50
MOST_METADATA = 50
FASTEST = 10_000
MOST_AT_ONCE = 1000
# Stands for the value of a header where endpoints are shown; given back, it keeps the value.
REDACTED = "********"


class Asked(NamedTuple):
    """Which endpoint something is asked of: its ids, and what it is now, if it is there already."""

    uow: UnitOfWork
    endpoint_id: str
    now: Endpoint | None


Check = Callable[[Asked, Any], Awaitable[dict[str, object]]]


class Checks:
    """Checks what is asked, under one address policy and one catalogue of message types."""

    def __init__(self, ring: KeyRing, policy: AddressPolicy, types: frozenset[str]) -> None:
        self._ring = ring
        self._policy = policy
        self._types = types
        self._checks: Mapping[str, Check] = {
            "url": self._url, "description": _description, "state": _state, "types": self._wanted, "event_ids": _events,
            "team_id": _team, "filter": _filter, "payload": _payload, "mask": _mask, "headers": self._headers,
            "rate_limit": _rate, "max_concurrency": _concurrency, "order_by": _order, "metadata": _metadata,
            "partner": self._partner,
        }  # fmt: skip

    async def checked(self, asked: Asked, fields: Mapping[str, object]) -> dict[str, object]:
        """Give the endpoint's fields as they are stored; raises `InvalidInput` for the first that cannot be."""
        stored: dict[str, object] = {}
        for name, value in fields.items():
            stored |= await self._checks[name](asked, value)
        return stored

    def url(self, url: str) -> str:
        """Check an address as when it is dialled, as far as that can be told without asking anybody."""
        try:
            return check_url(url, self._policy).url
        except AddressRefused as error:
            raise UrlRefused(f"The address is refused: {error.detail}.", pointer="/url", reason=error.code) from None

    async def _url(self, _asked: Asked, url: str) -> dict[str, object]:
        return {"url": self.url(url)}

    async def _wanted(self, _asked: Asked, types: list[str]) -> dict[str, object]:
        return {"types": self._known(types, "/types")}

    async def _partner(self, asked: Asked, partner: Mapping[str, Any] | None) -> dict[str, object]:
        if partner is None:
            return {"partner_id": None, "granted_types": None, "granted_event_ids": None}
        if not 1 <= len(partner["reference"]) <= 64:
            raise InvalidInput("A partner's reference has 1 to 64 characters.", pointer="/partner/reference")
        granted = partner["event_ids"]
        return {
            "partner_id": partner["reference"],
            "granted_types": self._known(partner["types"], "/partner/types"),
            "granted_event_ids": None if granted is None else await _there(asked, granted, "/partner/event_ids"),
        }

    def _known(self, types: list[str], pointer: str) -> list[str]:
        if not 1 <= len(types) <= MOST_TYPES:
            raise InvalidInput(f"Give 1 to {MOST_TYPES} types; * is all of them.", pointer=pointer)
        for pattern in types:
            family = pattern == "*" or (pattern.endswith(".*") and pattern != ".*")
            if pattern not in self._types and not (family and any(covers([pattern], one) for one in self._types)):
                raise InvalidInput(
                    f"{pattern!r} is no message type; there are: {', '.join(sorted(self._types))}.", pointer=pointer
                )
        return sorted(set(types))

    async def _headers(self, asked: Asked, headers: Mapping[str, str]) -> dict[str, object]:
        context = secret_context(asked.uow.organization_id, asked.endpoint_id, "headers")
        kept = asked.now.headers if asked.now is not None else None
        old = dict(msgspec.json.decode(self._ring.open(kept, context))) if kept else {}
        given = [(name, old.get(name, value) if value == REDACTED else value) for name, value in headers.items()]
        if any(value == REDACTED for _, value in given):
            raise HeadersRefused(
                f"{REDACTED} stands for a value that is kept; this header has none yet.", pointer="/headers",
                reason="header_value_missing",
            )  # fmt: skip
        try:
            checked = check_customer_headers(given)
        except HeaderRefused as error:
            raise HeadersRefused(f"{error.detail}.", pointer="/headers", reason=error.code) from None
        return {"headers": self._ring.seal(msgspec.json.encode(checked), context) if checked else None}


async def _description(_asked: Asked, description: str) -> dict[str, object]:
    if len(description) > 500:
        raise InvalidInput("A description has at most 500 characters.", pointer="/description")
    return {"description": description}


async def _state(_asked: Asked, state: str) -> dict[str, object]:
    if state not in (EndpointState.ENABLED, EndpointState.PAUSED):
        raise InvalidInput("An endpoint is enabled or paused; only Temula disables.", pointer="/state")
    return {"state": EndpointState(state)}


async def _events(asked: Asked, event_ids: list[str]) -> dict[str, object]:
    return {"event_ids": await _there(asked, event_ids, "/event_ids")}


async def _there(asked: Asked, event_ids: list[str], pointer: str) -> list[str]:
    if len(event_ids) > MOST_EVENTS:
        raise InvalidInput(f"Give at most {MOST_EVENTS} events.", pointer=pointer)
    for n, event_id in enumerate(event_ids):
        try:
            EVENT.parse(event_id)
        except InvalidId as error:
            raise InvalidInput(str(error), pointer=f"{pointer}/{n}") from None
    await events.require(asked.uow, event_ids)
    return sorted(set(event_ids))


async def _team(asked: Asked, team_id: str | None) -> dict[str, object]:
    if team_id is not None:
        try:
            await organizations.get_team(asked.uow, TEAM.parse(team_id))
        except InvalidId as error:
            raise InvalidInput(str(error), pointer="/team_id") from None
    return {"team_id": team_id}


async def _filter(_asked: Asked, expression: object) -> dict[str, object]:
    if expression is None:
        return {"filter": None}
    try:
        parse(expression)
    except FilterRefused as error:
        raise FilterInvalid(f"{error.detail}.", pointer=f"/filter{error.pointer}") from None
    return {"filter": msgspec.json.encode(expression)}


async def _payload(_asked: Asked, payload: str) -> dict[str, object]:
    return {"payload": _one_of(Payload, payload, "/payload")}


async def _order(_asked: Asked, order_by: str) -> dict[str, object]:
    return {"order_by": _one_of(OrderBy, order_by, "/order_by")}


async def _mask(_asked: Asked, mask: list[str]) -> dict[str, object]:
    if len(mask) > MOST_PATHS:
        raise InvalidInput(f"Mask at most {MOST_PATHS} paths.", pointer="/mask")
    for n, path in enumerate(mask):
        if not maskable(path):
            raise InvalidInput(
                "A path to mask begins with data. and names up to 8 steps, as in data.location.", pointer=f"/mask/{n}"
            )
    return {"mask": sorted(set(mask))}


async def _rate(_asked: Asked, rate: int | None) -> dict[str, object]:
    return {"rate_limit": _within(rate, FASTEST, "/rate_limit")}


async def _concurrency(_asked: Asked, number: int | None) -> dict[str, object]:
    return {"max_concurrency": _within(number, MOST_AT_ONCE, "/max_concurrency")}


async def _metadata(_asked: Asked, metadata: Mapping[str, str]) -> dict[str, object]:
    if len(metadata) > MOST_METADATA:
        raise InvalidInput(f"Metadata has at most {MOST_METADATA} entries.", pointer="/metadata")
    for name, value in metadata.items():
        if not 1 <= len(name) <= 40 or len(value) > 500:
            raise InvalidInput(
                "Metadata has names of 1 to 40 characters and values of at most 500.", pointer="/metadata"
            )
    return {"metadata": msgspec.json.encode(dict(metadata))}


def _within(number: int | None, most: int, pointer: str) -> int | None:
    if number is not None and not 1 <= number <= most:
        raise InvalidInput(f"Give a whole number from 1 to {most}, or null for no limit.", pointer=pointer)
    return number


def _one_of(kind: type[Payload] | type[OrderBy], text: str, pointer: str) -> Payload | OrderBy:
    if text not in tuple(kind):
        raise InvalidInput(f"Give one of: {', '.join(kind)}.", pointer=pointer)
    return kind(text)
