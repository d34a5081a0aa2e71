"""Deliveries, their log and replay, through the API."""

from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.webhooks import AttemptView, DeliveryLog, DeliveryPage, DeliveryView
from temula.outbound.webhooks import service
from temula.outbound.webhooks.model import Attempt, Delivery
from temula.outbound.webhooks.routes.views import READ, WRITE


class Deliveries(Controller):
    """What was sent to where, and sending it again."""

    path = "/webhooks"
    tags = ["Webhooks"]

    @get("/deliveries", opt=READ, summary="List deliveries")
    async def list_deliveries(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        endpoint_id: FromQuery[str | None] = None,
    ) -> Response[DeliveryPage]:
        """Newest first; `endpoint_id` narrows to one endpoint."""
        window = act.window(cursor, limit, endpoint_id)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await service.deliveries(uow, window, endpoint_id=endpoint_id), delivery_view, DeliveryPage)

        return await act.read(work)

    @get("/deliveries/{delivery_id:str}", opt=READ, summary="Get a delivery with its log")
    async def get_delivery(self, act: NamedDependency[Act], delivery_id: FromPath[str]) -> Response[DeliveryLog]:
        """The message as it is sent, and each attempt with request headers, answer, duration and address."""

        async def work(uow: UnitOfWork) -> DeliveryLog:
            found, body, attempts = await service.log_of(uow, delivery_id)
            return DeliveryLog(
                delivery_view(found), msgspec.json.decode(body), [attempt_view(attempt) for attempt in attempts]
            )

        return await act.read(work)

    @post("/deliveries/{delivery_id:str}/replay", opt=WRITE, summary="Send a message again")
    async def replay_delivery(self, act: NamedDependency[Act], delivery_id: FromPath[str]) -> Response[DeliveryView]:
        """To the same endpoint, with the same message id, as a new delivery."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(delivery_view(await service.replay(uow, delivery_id)), 201)

        return await act.write(work)


def delivery_view(d: Delivery) -> DeliveryView:
    """Show a delivery."""
    return DeliveryView(
        d.id,
        d.endpoint_id,
        d.message_id,
        d.type,
        d.state,
        d.attempts,
        d.replay_id,
        d.next_attempt_at,
        d.created_at,
        d.finished_at,
    )


def attempt_view(a: Attempt) -> AttemptView:
    """Show an attempt; bytes that are not UTF-8 are shown as replacement signs."""
    return AttemptView(
        a.id, a.number, a.at, a.duration_ms, a.address, a.request_headers(), a.status,
        a.answered_headers(),
        a.response_body.decode(errors="replace") if a.response_body is not None else None, a.error,
    )  # fmt: skip
