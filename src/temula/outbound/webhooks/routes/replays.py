"""Replays through the API."""

from typing import Any

import msgspec
from litestar import Controller, MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody

from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.replays import ReplayCreate, ReplayPage, ReplayPreview, ReplaySample, ReplayView
from temula.outbound.webhooks.model import Criteria, Progress, ReplayKind
from temula.outbound.webhooks.routes.views import READ, WRITE
from temula.outbound.webhooks.service import ReplayAsked, Replays
from temula.outbound.webhooks.service import replays as service

PREVIEWED = ResponseSpec(
    ReplayPreview, generate_examples=False, description="With `dry_run`: what it would send; nothing was done"
)


class ReplayActs(Controller):
    """Sending again what an endpoint had, or did not get."""

    path = "/webhooks/replays"
    tags = ["Webhooks"]

    @get("", opt=READ, summary="List replays")
    async def list_replays(
        self, act: NamedDependency[Act], cursor: FromQuery[str | None] = None, limit: Limit = 50
    ) -> Response[ReplayPage]:
        """Newest first, each with how far it is."""
        window = act.window(cursor, limit)

        async def work(uow: UnitOfWork) -> msgspec.Struct:
            return page_of(await service.listed(uow, window), replay_view, ReplayPage)

        return await act.read(work)

    @post("", opt=WRITE, summary="Send messages again", responses={200: PREVIEWED})
    async def create_replay(
        self, act: NamedDependency[Act], replays: NamedDependency[Replays], data: JSONBody[ReplayCreate]
    ) -> Response[ReplayView]:
        """As many as there are, each once, with the same message id and bytes, behind all that is new.

        What still waits for an endpoint is not sent twice: what is due is left alone, and what waits for a later try
        goes now instead. A paused or disabled endpoint gets its part once it is enabled.
        """
        asked = _asked(data)
        if data.dry_run:
            preview = await act.read_raw(lambda uow: replays.preview(uow, asked))
            sample = [ReplaySample(endpoint_id, one.message_id, one.type) for endpoint_id, one in preview.sample]
            shown = msgspec.json.encode(ReplayPreview(preview.matched, preview.complete, sample))
            previewed: Response[Any] = Response(shown, status_code=200, media_type=MediaType.JSON)
            return previewed

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(replay_view(await replays.create(uow, asked)), 201)

        return await act.write(work)

    @get("/{replay_id:str}", opt=READ, summary="Get a replay")
    async def get_replay(self, act: NamedDependency[Act], replay_id: FromPath[str]) -> Response[ReplayView]:
        """What was asked for, and how far it is."""

        async def work(uow: UnitOfWork) -> ReplayView:
            return replay_view(await service.get(uow, replay_id))

        return await act.read(work)

    @post("/{replay_id:str}/cancel", opt=WRITE, status_code=200, summary="Cancel a replay")
    async def cancel_replay(
        self, act: NamedDependency[Act], replays: NamedDependency[Replays], replay_id: FromPath[str]
    ) -> Response[ReplayView]:
        """What waits of it is removed, and what was sent stays; a few that are on their way may still arrive."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(replay_view(await replays.cancel(uow, replay_id)))

        return await act.write(work)


def replay_view(p: Progress) -> ReplayView:
    """Show a replay."""
    c = msgspec.json.decode(p.criteria, type=Criteria)
    return ReplayView(
        p.id, p.kind, p.endpoint_id, c.types, c.event_id, c.outcomes, c.statuses, c.since, c.until, p.rate, p.state,
        p.counting, p.matched, p.added, p.waiting, p.delivered, p.failed, p.held, p.created_at, p.finished_at,
    )  # fmt: skip


def _asked(data: ReplayCreate) -> ReplayAsked:
    criteria = Criteria(
        types=data.types, event_id=data.event_id, outcomes=list(data.outcomes) if data.outcomes else None,
        statuses=list(data.statuses) if data.statuses else None, since=data.since, until=data.until,
    )  # fmt: skip
    return ReplayAsked(ReplayKind(data.kind), criteria, data.endpoint_id, data.rate)
