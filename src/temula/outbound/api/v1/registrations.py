"""Registrations and attendees."""

from typing import Any

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from temula.domain.registrations import service
from temula.domain.registrations.model import Buyer, Seat
from temula.kernel.database import UnitOfWork
from temula.outbound.api.checkout import Checkout
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.events import given
from temula.outbound.schemas.registrations import (
    AttendeePage,
    AttendeePatch,
    AttendeeView,
    CancelInput,
    PayAgainInput,
    RegistrationCreate,
    RegistrationPage,
    RegistrationView,
    attendee_view,
    registration_view,
    summary_view,
)

READ, WRITE = {"ability": "registrations:read"}, {"ability": "registrations:write"}


class Registrations(Controller):
    """Buyers' orders."""

    path = "/registrations"
    tags = ["Registrations"]

    @get(opt=READ, summary="List registrations")
    async def list_registrations(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        event_id: FromQuery[str | None] = None,
    ) -> Response[RegistrationPage]:
        """Newest first; `event_id` narrows to one event."""
        window = act.window(cursor, limit, event_id)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await service.listed(uow, window, event_id=event_id), summary_view, RegistrationPage)

        return await act.read(work)

    @post(opt=WRITE, summary="Register attendees")
    async def create_registration(
        self, act: NamedDependency[Act], checkout: NamedDependency[Checkout], data: JSONBody[RegistrationCreate]
    ) -> Response[RegistrationView]:
        """Holds the tickets and opens the payment; `payment.attempts[0].next_action.url` is where the buyer pays.

        If the provider does not answer in time, `next_action` is null: it is asked again in the background, get the
        registration again a little later. What costs nothing is confirmed at once.
        """
        buyer = Buyer(name=data.buyer.name, email=data.buyer.email)
        seats = [
            Seat(ticket_type_id=one.ticket_type_id, name=one.name or buyer.name, email=one.email or buyer.email)
            for one in data.attendees
        ]
        return await checkout.register(act, data.event_id, buyer, seats, data.success_url, data.cancel_url)

    @get("/{registration_id:str}", opt=READ, summary="Get a registration")
    async def get_registration(
        self, act: NamedDependency[Act], registration_id: FromPath[str]
    ) -> Response[RegistrationView]:
        """With its attendees and its latest payment."""

        async def work(uow: UnitOfWork) -> RegistrationView:
            return registration_view(await service.get(uow, registration_id))

        return await act.read(work)

    @post("/{registration_id:str}/cancel", opt=WRITE, status_code=200, summary="Cancel a registration")
    async def cancel_registration(
        self, act: NamedDependency[Act], registration_id: FromPath[str], data: JSONBody[CancelInput]
    ) -> Response[RegistrationView]:
        """Puts the tickets back on sale and voids those issued; money is given back by `POST /refunds`."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(registration_view(await service.cancel(uow, registration_id, data.reason)))

        return await act.write(work)

    @post("/{registration_id:str}/pay", opt=WRITE, status_code=200, summary="Open another attempt at the payment")
    async def pay_again(
        self,
        act: NamedDependency[Act],
        checkout: NamedDependency[Checkout],
        registration_id: FromPath[str],
        data: JSONBody[PayAgainInput],
    ) -> Response[RegistrationView]:
        """For a pending registration whose last attempt failed."""
        return await checkout.pay_again(act, registration_id, data.success_url, data.cancel_url)


class Attendees(Controller):
    """Those who come."""

    path = "/attendees"
    tags = ["Registrations"]

    @get(opt={"ability": "attendees:read"}, summary="List attendees")
    async def list_attendees(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        event_id: FromQuery[str | None] = None,
    ) -> Response[AttendeePage]:
        """Newest first; `event_id` narrows to one event."""
        window = act.window(cursor, limit, event_id)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await service.attendees(uow, window, event_id=event_id), attendee_view, AttendeePage)

        return await act.read(work)

    @get("/{attendee_id:str}", opt={"ability": "attendees:read"}, summary="Get an attendee")
    async def get_attendee(self, act: NamedDependency[Act], attendee_id: FromPath[str]) -> Response[AttendeeView]:
        """One attendee."""

        async def work(uow: UnitOfWork) -> AttendeeView:
            return attendee_view(await service.get_attendee(uow, attendee_id))

        return await act.read(work)

    @patch("/{attendee_id:str}", opt={"ability": "attendees:write"}, summary="Correct an attendee")
    async def update_attendee(
        self, act: NamedDependency[Act], attendee_id: FromPath[str], data: JSONBody[AttendeePatch]
    ) -> Response[AttendeeView]:
        """The ticket's code carries neither name nor email address and stays."""
        named: dict[str, Any] = {"name": None, "email": None, **given(data)}

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(attendee_view(await service.rename_attendee(uow, attendee_id, **named)))

        return await act.write(work)
