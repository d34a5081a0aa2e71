"""The log of attempts, searched, and what was counted of it, through the API."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.webhooks import (
    AttemptPage,
    EventTypeList,
    LoggedAttempt,
    StatsChart,
    StatsView,
    WholeAttempt,
)
from temula.outbound.webhooks import service
from temula.outbound.webhooks.model import Attempt, Counted, Logged, Outcome, Sought, Step, answered
from temula.outbound.webhooks.routes.deliveries import attempt_view
from temula.outbound.webhooks.routes.views import READ

Types = Annotated[
    str | None, QueryParameter(name="type", description="Types with commas between: exact or `registration.*`",
                               max_length=5000)
]  # fmt: skip
Status = Annotated[
    str | None,
    QueryParameter(description="`404`, `5xx`, `failed`, `succeeded`, or `none` for no answer", max_length=20),
]
Outcomes = Annotated[Outcome | None, QueryParameter(description="What became of the delivery by it")]
Error = Annotated[str | None, QueryParameter(description="Why there is no complete answer: `timeout`", max_length=64)]
Object = Annotated[
    str | None, QueryParameter(description="Id of what the message is about: `reg_...`, `tkt_...`", max_length=64)
]
From = Annotated[datetime | None, QueryParameter(name="from", description="At this time (RFC 3339) or later")]
Until = Annotated[datetime | None, QueryParameter(description="Before this time (RFC 3339)")]
By = Annotated[Step, QueryParameter(description="`hour` or `day`, of UTC")]


class Log(Controller):
    """Each try at each delivery, for 90 days, and the counts that stay."""

    path = "/webhooks"
    tags = ["Webhooks"]

    @get("/attempts", opt=READ, summary="Search the log of attempts")
    async def search_attempts(  # noqa: PLR0913 - filters, each by its name
        self,
        act: NamedDependency[Act],
        catalogue: NamedDependency[EventTypeList],
        *,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        endpoint_id: FromQuery[str | None] = None,
        types: Types = None,
        status: Status = None,
        outcome: Outcomes = None,
        error: Error = None,
        object_id: Object = None,
        message_id: FromQuery[str | None] = None,
        since: From = None,
        until: Until = None,
    ) -> Response[AttemptPage]:
        """Newest first; all conditions that are given must hold, with none it is everything that is kept.

        A page looks at some thousand attempts. It may hold few or none and lead on (`next_cursor`), where several
        conditions fit many attempts each and few together; `searched_to` says how far it came.
        """
        sought = Sought(
            endpoint_id, service.types_of(types, [one.type for one in catalogue.data]),
            answered(status) if status is not None else None, outcome, error, object_id, message_id, _aware(since),
            _aware(until),
        )  # fmt: skip
        filters = (endpoint_id, types, status, outcome, error, object_id, message_id)
        window = act.window(cursor, limit, *filters, *(at.isoformat() if at else None for at in (since, until)))

        async def work(uow: UnitOfWork) -> AttemptPage:
            found = await service.search(uow, window, sought)
            return AttemptPage([logged_view(one) for one in found.attempts], found.next_cursor, found.searched_to)

        return await act.read(work)

    @get("/attempts/{attempt_id:str}", opt=READ, summary="Get an attempt, whole")
    async def get_attempt(self, act: NamedDependency[Act], attempt_id: FromPath[str]) -> Response[WholeAttempt]:
        """The request as it was sent, its signature, and the answer: status, headers and the first 16 KiB."""

        async def work(uow: UnitOfWork) -> WholeAttempt:
            return whole_view(*await service.attempt(uow, attempt_id))

        return await act.read(work)

    @get("/stats", opt=READ, summary="Get what was counted of attempts")
    async def get_stats(
        self,
        act: NamedDependency[Act],
        by: By = Step.HOUR,
        endpoint_id: FromQuery[str | None] = None,
        since: From = None,
        until: Until = None,
    ) -> Response[StatsChart]:
        """By hour (14 days at most) or day (366), of one endpoint or all; without times the last 24 hours or 30 days.

        Times are widened to whole hours or days. The counts are kept up with each attempt and outlive the log.
        """

        async def work(uow: UnitOfWork) -> StatsChart:
            chart = await service.stats(uow, by, _aware(since), _aware(until), endpoint_id)
            return chart_view(chart, endpoint_id)

        return await act.read(work)


def logged_view(a: Logged | Attempt) -> LoggedAttempt:
    """Show an attempt in a list."""
    return LoggedAttempt(
        a.id, a.at, a.endpoint_id, a.delivery_id, a.message_id, a.type, a.event_id, a.number, a.outcome, a.status,
        a.error, a.duration_ms, a.address, a.replay_id,
    )  # fmt: skip


def whole_view(a: Attempt, body: bytes | None) -> WholeAttempt:
    """Show an attempt with all that was sent and came; bytes that are not UTF-8 are shown as replacement signs."""
    shown = attempt_view(a)
    return WholeAttempt(
        **msgspec.structs.asdict(logged_view(a)),
        signature=shown.request_headers.get("X-Temula-Signature"),
        request_headers=shown.request_headers,
        request_body=body.decode(errors="replace") if body is not None else None,
        response_headers=shown.response_headers,
        response_body=shown.response_body,
    )


def chart_view(chart: service.Chart, endpoint_id: str | None) -> StatsChart:
    """Show counts."""
    return StatsChart(
        chart.step, chart.since, chart.until, endpoint_id, _counted_view(chart.total),
        [_counted_view(one) for one in chart.steps],
    )  # fmt: skip


def _counted_view(c: Counted) -> StatsView:
    return StatsView(
        c.start, c.attempts, c.delivered, c.failures, c.retries, c.success_rate, c.percentile(0.5), c.percentile(0.95)
    )


def _aware(at: datetime | None) -> datetime | None:
    """Read a time that names no zone as one of UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
