"""Use cases of replays: asked for, previewed, watched, cancelled. A worker takes their steps."""

from typing import NamedTuple

import msgspec

from temula.domain.events import service as events
from temula.kernel.clock import Clock
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import REPLAY
from temula.kernel.pages import Page, Window, page
from temula.outbound.webhooks import store
from temula.outbound.webhooks.errors import NoSuchEndpoint, NoSuchReplay, ReplayOver
from temula.outbound.webhooks.model import (
    FASTEST,
    RATE,
    REPLAYS_TOPIC,
    STATUSES,
    Chosen,
    Criteria,
    Outcome,
    Progress,
    Replay,
    ReplayKind,
    ReplayState,
    covers,
)
from temula.outbound.webhooks.service.choosing import choose

SAMPLE = 10
PREVIEW_SECONDS = 10.0
ANY_TRANSACTION = 2**62


class ReplayAsked(NamedTuple):
    """What is asked for; no `endpoint_id` is every endpoint, no `rate` is as fast as each of them takes it."""

    kind: ReplayKind
    criteria: Criteria = Criteria()
    endpoint_id: str | None = None
    rate: int | None = RATE


class Preview(NamedTuple):
    """What a replay would send; `complete` is false if it was not counted to the end within ten seconds."""

    matched: int
    complete: bool
    sample: list[tuple[str, Chosen]]


class Replays:
    """Replays, under one catalogue of message types."""

    def __init__(self, clock: Clock, types: frozenset[str]) -> None:
        self._clock = clock
        self._types = types

    async def create(self, uow: UnitOfWork, asked: ReplayAsked) -> Progress:
        """Begin a replay; what is for a paused or disabled endpoint is sent once it is enabled."""
        replay = await self._checked(uow, asked)
        await store.add_replay(uow, replay)
        await store.finish(uow, replay.id)  # without endpoints it is over
        uow.ring(REPLAYS_TOPIC)
        told = msgspec.to_builtins(asked.criteria)
        uow.audit(
            "webhook_replay.create", replay.id,
            {"kind": replay.kind, "endpoint_id": replay.endpoint_id, "rate": replay.rate, **told},
        )  # fmt: skip
        return await get(uow, replay.id)

    async def preview(self, uow: UnitOfWork, asked: ReplayAsked) -> Preview:
        """Count what a replay would send, and change nothing; what is just being fanned out may count as missing."""
        replay = await self._checked(uow, asked)
        began, matched, sample = self._clock.monotonic(), 0, list[tuple[str, Chosen]]()
        endpoint_ids = [replay.endpoint_id] if replay.endpoint_id else await store.endpoint_ids(uow)
        for endpoint_id in endpoint_ids:
            endpoint, after_id, ended = await store.subscription(uow, endpoint_id), "", False
            while endpoint is not None and not ended:
                if self._clock.monotonic() - began > PREVIEW_SECONDS:
                    return Preview(matched, complete=False, sample=sample)
                found = await choose(uow, replay, endpoint, after_id)
                after_id, ended, matched = found.looked_to, found.ended, matched + len(found.chosen)
                sample += [(endpoint_id, one) for one in found.chosen[: SAMPLE - len(sample)]]
        return Preview(matched, complete=True, sample=sample)

    async def cancel(self, uow: UnitOfWork, replay_id: str) -> Progress:
        """Send nothing more of a replay; what was sent stays, and what was hurried goes on as it would have."""
        before = await store.cancel(uow, replay_id)
        if before is None:
            raise NoSuchReplay(f"There is no webhook replay {replay_id}.")
        if before == ReplayState.DONE:
            raise ReplayOver("All of the replay has been sent; there is nothing left to cancel.")
        if before == ReplayState.RUNNING:
            uow.ring(REPLAYS_TOPIC)
            uow.audit("webhook_replay.cancel", replay_id)
        return await get(uow, replay_id)

    async def _checked(self, uow: UnitOfWork, asked: ReplayAsked) -> Replay:
        criteria = asked.criteria
        self._check_criteria(asked.kind, criteria)
        if asked.rate is not None and not 1 <= asked.rate <= FASTEST:
            raise InvalidInput(
                f"Give a whole number from 1 to {FASTEST}, or null for as fast as the endpoint takes it.",
                pointer="/rate",
            )
        if criteria.event_id is not None:
            await events.require(uow, [criteria.event_id])
        endpoint = None
        if asked.endpoint_id is not None:
            endpoint = await store.subscription(uow, asked.endpoint_id)
            if endpoint is None:
                raise NoSuchEndpoint(f"There is no webhook endpoint {asked.endpoint_id}.")
        return Replay(
            uow.organization_id, REPLAY.new(uow.now), asked.kind, None if endpoint is None else endpoint.id,
            msgspec.json.encode(criteria), asked.rate, ReplayState.RUNNING, ANY_TRANSACTION, uow.now,
        )  # fmt: skip

    def _check_criteria(self, kind: ReplayKind, criteria: Criteria) -> None:
        for name, given, known in (
            ("outcomes", criteria.outcomes, tuple(Outcome)), ("statuses", criteria.statuses, STATUSES),
        ):  # fmt: skip
            if given is not None and kind != ReplayKind.FILTER:
                raise InvalidInput(f"Only a replay of kind filter can be narrowed by {name}.", pointer=f"/{name}")
            if unknown := sorted(set(given or ()).difference(known)):
                raise InvalidInput(f"{unknown[0]!r} is none of: {', '.join(known)}.", pointer=f"/{name}")
        for pattern in criteria.types or ():
            if not any(covers([pattern], one) for one in self._types):
                raise InvalidInput(
                    f"{pattern!r} is no message type; there are: {', '.join(sorted(self._types))}.", pointer="/types"
                )
        if criteria.since is None and kind != ReplayKind.FILTER:
            raise InvalidInput(f"Say since when: a replay of kind {kind} needs since.", pointer="/since")
        for name, at in (("since", criteria.since), ("until", criteria.until)):
            if at is not None and at.tzinfo is None:
                raise InvalidInput("A time needs its offset from UTC, as in 2026-11-23T10:15:00Z.", pointer=f"/{name}")
        if criteria.since is not None and criteria.until is not None and criteria.since >= criteria.until:
            raise InvalidInput("until has to be later than since.", pointer="/until")


async def get(uow: UnitOfWork, replay_id: str) -> Progress:
    """Find a replay and how far it is."""
    if (found := await store.progress(uow, replay_id)) is None:
        raise NoSuchReplay(f"There is no webhook replay {replay_id}.")
    return found


async def listed(uow: UnitOfWork, window: Window) -> Page[Progress]:
    """List replays, newest first."""
    return page(await store.replays(uow, window), window, lambda replay: replay.id)
