"""Webhook endpoints, deliveries and replay, through the API."""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.events import given
from temula.outbound.schemas.webhooks import (
    AttemptView,
    DeliveryLog,
    DeliveryPage,
    DeliveryView,
    EndpointCreate,
    EndpointPage,
    EndpointPatch,
    EndpointView,
    EndpointWithSecret,
    EventTypeList,
    RotateInput,
)
from temula.outbound.webhooks import service
from temula.outbound.webhooks.model import Attempt, Delivery, Endpoint
from temula.outbound.webhooks.service import Endpoints

READ, WRITE = {"ability": "webhooks:read"}, {"ability": "webhooks:write"}


class Webhooks(Controller):
    """Signed messages about what happens, to where you want them."""

    path = "/webhooks"
    tags = ["Webhooks"]

    @get("/event-types", opt=READ, summary="List message types")
    async def list_event_types(
        self, act: NamedDependency[Act], catalogue: NamedDependency[EventTypeList]
    ) -> Response[EventTypeList]:
        """What an endpoint can subscribe to."""

        async def work(_uow: UnitOfWork) -> EventTypeList:
            return catalogue

        return await act.read(work)

    @get("/endpoints", opt=READ, summary="List webhook endpoints")
    async def list_endpoints(
        self, act: NamedDependency[Act], cursor: FromQuery[str | None] = None, limit: Limit = 50
    ) -> Response[EndpointPage]:
        """Newest first."""
        window = act.window(cursor, limit)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await service.listed(uow, window), endpoint_view, EndpointPage)

        return await act.read(work)

    @post("/endpoints", opt=WRITE, summary="Add a webhook endpoint")
    async def create_endpoint(
        self, act: NamedDependency[Act], endpoints: NamedDependency[Endpoints], data: JSONBody[EndpointCreate]
    ) -> Response[EndpointWithSecret]:
        """`secret` signs its messages and is shown this once."""

        async def work(uow: UnitOfWork) -> Answer:
            endpoint, secret = await endpoints.create(
                uow, url=data.url, description=data.description, types=data.types, event_ids=data.event_ids
            )
            return Answer(_with_secret(endpoint, secret), 201)

        return await act.write(work)

    @get("/endpoints/{endpoint_id:str}", opt=READ, summary="Get a webhook endpoint")
    async def get_endpoint(self, act: NamedDependency[Act], endpoint_id: FromPath[str]) -> Response[EndpointView]:
        """One endpoint."""

        async def work(uow: UnitOfWork) -> EndpointView:
            return endpoint_view(await service.get(uow, endpoint_id))

        return await act.read(work)

    @patch("/endpoints/{endpoint_id:str}", opt=WRITE, summary="Change a webhook endpoint")
    async def update_endpoint(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[Endpoints],
        endpoint_id: FromPath[str],
        data: JSONBody[EndpointPatch],
    ) -> Response[EndpointView]:
        """Fields left out stay. Enabling a paused or disabled endpoint sends what was kept for it."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(endpoint_view(await endpoints.update(uow, endpoint_id, given(data))))

        return await act.write(work)

    @delete("/endpoints/{endpoint_id:str}", opt=WRITE, status_code=204, summary="Delete a webhook endpoint")
    async def delete_endpoint(self, act: NamedDependency[Act], endpoint_id: FromPath[str]) -> Response[None]:
        """With its deliveries and their log."""

        async def work(uow: UnitOfWork) -> Answer:
            await service.delete(uow, endpoint_id)
            return Answer(None, 204)

        return await act.write(work)

    @post("/endpoints/{endpoint_id:str}/rotate-secret", opt=WRITE, status_code=200, summary="Rotate a signing secret")
    async def rotate_secret(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[Endpoints],
        endpoint_id: FromPath[str],
        data: JSONBody[RotateInput],
    ) -> Response[EndpointWithSecret]:
        """Until the overlap ends both secrets sign."""

        async def work(uow: UnitOfWork) -> Answer:
            endpoint, secret = await endpoints.rotate(uow, endpoint_id, timedelta(hours=data.overlap_hours))
            return Answer(_with_secret(endpoint, secret))

        return await act.write(work)

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


def endpoint_view(e: Endpoint) -> EndpointView:
    """Show an endpoint."""
    return EndpointView(
        e.id, e.url, e.description, e.state, e.disabled_reason, e.types, e.event_ids, e.previous_until, e.created_at,
        e.updated_at,
    )  # fmt: skip


def _with_secret(e: Endpoint, secret: str) -> EndpointWithSecret:
    return EndpointWithSecret(
        e.id, e.url, e.description, e.state, e.disabled_reason, e.types, e.event_ids, e.previous_until, e.created_at,
        e.updated_at, secret,
    )  # fmt: skip


def delivery_view(d: Delivery) -> DeliveryView:
    """Show a delivery."""
    return DeliveryView(
        d.id,
        d.endpoint_id,
        d.message_id,
        d.type,
        d.state,
        d.attempts,
        d.replay,
        d.next_attempt_at,
        d.created_at,
        d.finished_at,
    )


def attempt_view(a: Attempt) -> AttemptView:
    """Show an attempt; bytes that are not UTF-8 are shown as replacement signs."""
    return AttemptView(
        a.id, a.number, a.at, a.duration_ms, a.address, msgspec.json.decode(a.request_headers), a.status,
        msgspec.json.decode(a.response_headers) if a.response_headers else None,
        a.response_body.decode(errors="replace") if a.response_body is not None else None, a.error,
    )  # fmt: skip
