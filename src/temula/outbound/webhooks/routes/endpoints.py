"""Webhook endpoints through the API."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.events import given
from temula.outbound.schemas.webhooks import (
    DeliveryView,
    EndpointCreate,
    EndpointPage,
    EndpointPatch,
    EndpointView,
    EndpointWithSecret,
    PartnerGrant,
    PauseInput,
    RotateInput,
    TestInput,
)
from temula.outbound.webhooks import service
from temula.outbound.webhooks.model import EndpointState
from temula.outbound.webhooks.routes.deliveries import delivery_view
from temula.outbound.webhooks.routes.views import READ, WRITE, endpoint_view, with_secret


class Endpoints(Controller):
    """Signed messages about what happens, to where you want them."""

    path = "/webhooks"
    tags = ["Webhooks"]

    @get("/endpoints", opt=READ, summary="List webhook endpoints")
    async def list_endpoints(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[service.Endpoints],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        state_: Annotated[EndpointState | None, QueryParameter(name="state")] = None,
        team_id: FromQuery[str | None] = None,
        partner: FromQuery[str | None] = None,
    ) -> Response[EndpointPage]:
        """Newest first; `state`, `team_id` and `partner` (its reference) narrow."""
        window = act.window(cursor, limit, state_, team_id, partner)
        narrowed = service.Narrowed(state_, team_id, partner)

        async def work(uow: UnitOfWork) -> Any:
            found = await service.listed(uow, window, narrowed)
            return page_of(found, partial(endpoint_view, endpoints), EndpointPage)

        return await act.read(work)

    @post("/endpoints", opt=WRITE, summary="Add a webhook endpoint")
    async def create_endpoint(
        self, act: NamedDependency[Act], endpoints: NamedDependency[service.Endpoints], data: JSONBody[EndpointCreate]
    ) -> Response[EndpointWithSecret]:
        """`secret` signs its messages and is shown this once."""

        async def work(uow: UnitOfWork) -> Answer:
            endpoint, secret = await endpoints.create(uow, _fields(data))
            return Answer(with_secret(endpoint_view(endpoints, endpoint), secret), 201)

        return await act.write(work)

    @get("/endpoints/{endpoint_id:str}", opt=READ, summary="Get a webhook endpoint")
    async def get_endpoint(
        self, act: NamedDependency[Act], endpoints: NamedDependency[service.Endpoints], endpoint_id: FromPath[str]
    ) -> Response[EndpointView]:
        """One endpoint."""

        async def work(uow: UnitOfWork) -> EndpointView:
            return endpoint_view(endpoints, await service.get(uow, endpoint_id))

        return await act.read(work)

    @patch("/endpoints/{endpoint_id:str}", opt=WRITE, summary="Change a webhook endpoint")
    async def update_endpoint(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[service.Endpoints],
        endpoint_id: FromPath[str],
        data: JSONBody[EndpointPatch],
    ) -> Response[EndpointView]:
        """Fields left out stay. Enabling a paused or disabled endpoint sends what was kept for it."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(endpoint_view(endpoints, await endpoints.update(uow, endpoint_id, _fields(data))))

        return await act.write(work)

    @delete("/endpoints/{endpoint_id:str}", opt=WRITE, status_code=204, summary="Delete a webhook endpoint")
    async def delete_endpoint(self, act: NamedDependency[Act], endpoint_id: FromPath[str]) -> Response[None]:
        """Nothing is sent to it any more; the log of what it was sent stays its time."""

        async def work(uow: UnitOfWork) -> Answer:
            await service.delete(uow, endpoint_id)
            return Answer(None, 204)

        return await act.write(work)

    @post("/endpoints/{endpoint_id:str}/rotate-secret", opt=WRITE, status_code=200, summary="Rotate a signing secret")
    async def rotate_secret(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[service.Endpoints],
        endpoint_id: FromPath[str],
        data: JSONBody[RotateInput],
    ) -> Response[EndpointWithSecret]:
        """Until the overlap ends both secrets sign."""

        async def work(uow: UnitOfWork) -> Answer:
            endpoint, secret = await endpoints.rotate(uow, endpoint_id, timedelta(hours=data.overlap_hours))
            return Answer(with_secret(endpoint_view(endpoints, endpoint), secret))

        return await act.write(work)

    @post("/endpoints/{endpoint_id:str}/pause", opt=WRITE, status_code=200, summary="Pause a webhook endpoint")
    async def pause_endpoint(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[service.Endpoints],
        endpoint_id: FromPath[str],
        data: JSONBody[PauseInput],
    ) -> Response[EndpointView]:
        """What comes for it is kept until it is resumed."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(endpoint_view(endpoints, await endpoints.pause(uow, endpoint_id, data.reason)))

        return await act.write(work)

    @post("/endpoints/{endpoint_id:str}/resume", opt=WRITE, status_code=200, summary="Resume a webhook endpoint")
    async def resume_endpoint(
        self, act: NamedDependency[Act], endpoints: NamedDependency[service.Endpoints], endpoint_id: FromPath[str]
    ) -> Response[EndpointView]:
        """A paused or disabled endpoint is sent what was kept for it, and what comes."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(endpoint_view(endpoints, await endpoints.resume(uow, endpoint_id)))

        return await act.write(work)

    @post("/endpoints/{endpoint_id:str}/test", opt=WRITE, summary="Send a test message")
    async def test_endpoint(
        self,
        act: NamedDependency[Act],
        endpoints: NamedDependency[service.Endpoints],
        endpoint_id: FromPath[str],
        data: JSONBody[TestInput],
    ) -> Response[DeliveryView]:
        """An example of a type, to this endpoint only, signed, tried again and logged like any other.

        `data.test` is true in it: a receiver that sees that acts on nothing.
        """

        async def work(uow: UnitOfWork) -> Answer:
            delivery_id = await endpoints.test(uow, endpoint_id, data.type)
            return Answer(delivery_view(await service.delivery(uow, delivery_id)), 201)

        return await act.write(work)


def _fields(data: EndpointCreate | EndpointPatch) -> dict[str, object]:
    fields = given(data)
    if isinstance(grant := fields.get("partner"), PartnerGrant):
        fields["partner"] = msgspec.structs.asdict(grant)
    return fields
