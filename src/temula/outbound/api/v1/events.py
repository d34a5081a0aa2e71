"""Events and their ticket types."""

from typing import Annotated, Any

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from temula.domain.events import service
from temula.domain.events.model import EventState
from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.events import (
    EventCreate,
    EventPage,
    EventPatch,
    EventView,
    TicketTypeCreate,
    TicketTypePage,
    TicketTypePatch,
    TicketTypeView,
    event_view,
    given,
    ticket_type_view,
)

READ, WRITE = {"ability": "events:read"}, {"ability": "events:write"}


class Events(Controller):
    """What people attend."""

    path = "/events"
    tags = ["Events"]

    @get(opt=READ, summary="List events")
    async def list_events(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        state_: Annotated[EventState | None, QueryParameter(name="state")] = None,
    ) -> Response[EventPage]:
        """Newest first; `state` narrows to drafts, published or archived ones."""
        window = act.window(cursor, limit, state_)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await service.listed(uow, window, state=state_), event_view, EventPage)

        return await act.read(work)

    @post(opt=WRITE, summary="Create an event")
    async def create_event(self, act: NamedDependency[Act], data: JSONBody[EventCreate]) -> Response[EventView]:
        """The event is a draft: add ticket types, then publish it."""

        async def work(uow: UnitOfWork) -> Answer:
            event = await service.create_event(
                uow, name=data.name, starts_at=data.starts_at, ends_at=data.ends_at, timezone=data.timezone,
                currency=data.currency, venue=data.venue, description=data.description, visibility=data.visibility,
                team_id=data.team_id,
            )  # fmt: skip
            return Answer(event_view(event), 201)

        return await act.write(work)

    @get("/{event_id:str}", opt=READ, summary="Get an event")
    async def get_event(self, act: NamedDependency[Act], event_id: FromPath[str]) -> Response[EventView]:
        """One event."""

        async def work(uow: UnitOfWork) -> EventView:
            return event_view(await service.get(uow, event_id))

        return await act.read(work)

    @patch("/{event_id:str}", opt=WRITE, summary="Change an event")
    async def update_event(
        self, act: NamedDependency[Act], event_id: FromPath[str], data: JSONBody[EventPatch]
    ) -> Response[EventView]:
        """Fields left out stay; `event.updated` tells what changed from what to what."""

        async def work(uow: UnitOfWork) -> Answer:
            act.require_match(event_view(await service.locked(uow, event_id)))
            return Answer(event_view(await service.update_event(uow, event_id, given(data))))

        return await act.write(work)

    @delete("/{event_id:str}", opt=WRITE, status_code=204, summary="Delete a draft")
    async def delete_event(self, act: NamedDependency[Act], event_id: FromPath[str]) -> Response[None]:
        """Only a draft can be deleted; a published event is archived."""

        async def work(uow: UnitOfWork) -> Answer:
            act.require_match(event_view(await service.locked(uow, event_id)))
            await service.delete_draft(uow, event_id)
            return Answer(None, 204)

        return await act.write(work)

    @post("/{event_id:str}/publish", opt=WRITE, status_code=200, summary="Publish an event")
    async def publish_event(self, act: NamedDependency[Act], event_id: FromPath[str]) -> Response[EventView]:
        """The event goes live and its tickets on sale."""

        async def work(uow: UnitOfWork) -> Answer:
            act.require_match(event_view(await service.locked(uow, event_id)))
            return Answer(event_view(await service.publish(uow, event_id)))

        return await act.write(work)

    @post("/{event_id:str}/archive", opt=WRITE, status_code=200, summary="Archive an event")
    async def archive_event(self, act: NamedDependency[Act], event_id: FromPath[str]) -> Response[EventView]:
        """The event is closed for good."""

        async def work(uow: UnitOfWork) -> Answer:
            act.require_match(event_view(await service.locked(uow, event_id)))
            return Answer(event_view(await service.archive(uow, event_id)))

        return await act.write(work)

    @get("/{event_id:str}/ticket-types", opt=READ, summary="List an event's ticket types")
    async def list_ticket_types(
        self,
        act: NamedDependency[Act],
        event_id: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> Response[TicketTypePage]:
        """Newest first."""
        window = act.window(cursor, limit)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await service.ticket_types(uow, event_id, window), ticket_type_view, TicketTypePage)

        return await act.read(work)

    @post("/{event_id:str}/ticket-types", opt=WRITE, summary="Add a ticket type")
    async def create_ticket_type(
        self, act: NamedDependency[Act], event_id: FromPath[str], data: JSONBody[TicketTypeCreate]
    ) -> Response[TicketTypeView]:
        """Priced in the event's currency, in minor units."""

        async def work(uow: UnitOfWork) -> Answer:
            added = await service.add_ticket_type(
                uow, event_id, name=data.name, price=data.price, quota=data.quota, sale_starts_at=data.sale_starts_at,
                sale_ends_at=data.sale_ends_at,
            )  # fmt: skip
            return Answer(ticket_type_view(added), 201)

        return await act.write(work)


class TicketTypes(Controller):
    """Kinds of ticket, by their own id."""

    path = "/ticket-types"
    tags = ["Events"]

    @get("/{ticket_type_id:str}", opt=READ, summary="Get a ticket type")
    async def get_ticket_type(
        self, act: NamedDependency[Act], ticket_type_id: FromPath[str]
    ) -> Response[TicketTypeView]:
        """One ticket type."""

        async def work(uow: UnitOfWork) -> TicketTypeView:
            return ticket_type_view(await service.get_ticket_type(uow, ticket_type_id))

        return await act.read(work)

    @patch("/{ticket_type_id:str}", opt=WRITE, summary="Change a ticket type")
    async def update_ticket_type(
        self, act: NamedDependency[Act], ticket_type_id: FromPath[str], data: JSONBody[TicketTypePatch]
    ) -> Response[TicketTypeView]:
        """The quota cannot fall below what is taken; sold tickets keep their price."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(ticket_type_view(await service.update_ticket_type(uow, ticket_type_id, given(data))))

        return await act.write(work)

    @delete("/{ticket_type_id:str}", opt=WRITE, status_code=204, summary="Delete a ticket type")
    async def delete_ticket_type(self, act: NamedDependency[Act], ticket_type_id: FromPath[str]) -> Response[None]:
        """Only one of which no ticket was taken."""

        async def work(uow: UnitOfWork) -> Answer:
            await service.delete_ticket_type(uow, ticket_type_id)
            return Answer(None, 204)

        return await act.write(work)
