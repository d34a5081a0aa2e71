"""Tickets, checkpoints and check-ins."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from temula.domain.checkins import service as checkins
from temula.domain.checkins.errors import AlreadyUsed
from temula.domain.checkins.model import Scan
from temula.domain.tickets import service
from temula.domain.tickets.model.paper import qr_svg
from temula.domain.tickets.service import PublicKeys
from temula.kernel.clock import rfc3339
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.outbound.callers.acts import Act, Answer, page_of
from temula.outbound.callers.problems import DOCUMENTED_AT, PROBLEM_JSON, Problem
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.tickets import (
    CheckInCreate,
    CheckInPage,
    CheckInView,
    CheckpointCreate,
    CheckpointPage,
    CheckpointView,
    TicketPage,
    TicketView,
    ValidateInput,
    ValidationView,
    VoidInput,
    check_in_view,
    checkpoint_view,
    ticket_view,
)

TICKETS, GATE = {"ability": "tickets:read"}, {"ability": "check_ins:write"}


class Tickets(Controller):
    """What admits one attendee."""

    path = "/tickets"
    tags = ["Tickets"]

    @get(opt=TICKETS, summary="List tickets")
    async def list_tickets(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        event_id: FromQuery[str | None] = None,
        registration_id: FromQuery[str | None] = None,
    ) -> Response[TicketPage]:
        """Newest first; `registration_id` or `event_id` narrows."""
        window = act.window(cursor, limit, event_id, registration_id)

        async def work(uow: UnitOfWork) -> Any:
            found = await service.listed(uow, window, event_id=event_id, registration_id=registration_id)
            return page_of(found, ticket_view, TicketPage)

        return await act.read(work)

    @get("/{ticket_id:str}", opt=TICKETS, summary="Get a ticket")
    async def get_ticket(self, act: NamedDependency[Act], ticket_id: FromPath[str]) -> Response[TicketView]:
        """One ticket."""

        async def work(uow: UnitOfWork) -> TicketView:
            return ticket_view(await service.get(uow, ticket_id))

        return await act.read(work)

    @get("/{ticket_id:str}/pdf", opt=TICKETS, summary="Get a ticket's PDF", media_type="application/pdf")
    async def get_pdf(self, act: NamedDependency[Act], ticket_id: FromPath[str]) -> Response[bytes]:
        """The page to print or to show on a phone."""
        pdf = await act.read_raw(lambda uow: service.pdf(uow, ticket_id))
        headers = {"Content-Disposition": f'inline; filename="{ticket_id}.pdf"', "Cache-Control": "private, no-store"}
        return Response(pdf, media_type="application/pdf", headers=headers)

    @get("/{ticket_id:str}/qr", opt=TICKETS, summary="Get a ticket's QR code", media_type="image/svg+xml")
    async def get_qr(self, act: NamedDependency[Act], ticket_id: FromPath[str]) -> Response[bytes]:
        """As SVG."""
        ticket = await act.read_raw(lambda uow: service.get(uow, ticket_id))
        headers = {"Cache-Control": "private, no-store"}
        return Response(qr_svg(ticket.code), media_type="image/svg+xml", headers=headers)

    @post("/validate", opt=TICKETS, status_code=200, summary="Look at a scanned code")
    async def validate(
        self, act: NamedDependency[Act], keys: NamedDependency[PublicKeys], data: JSONBody[ValidateInput]
    ) -> Response[ValidationView]:
        """Tells whether the code would be admitted, without admitting anybody."""

        async def work(uow: UnitOfWork) -> ValidationView:
            found = await service.inspect(uow, keys, data.code)
            ticket = found.ticket
            used = await checkins.standing(uow, ticket.id) if ticket else None
            reason, detail = found.refusal, found.detail
            if reason is None and used is not None:
                reason, detail = AlreadyUsed.code, f"The ticket was used at {rfc3339(used.at)}."
            return ValidationView(
                reason is None, reason, detail, ticket_view(ticket) if ticket else None,
                check_in_view(used) if used else None,
            )  # fmt: skip

        return await act.read(work)

    @post("/{ticket_id:str}/void", opt={"ability": "tickets:write"}, status_code=200, summary="Void a ticket")
    async def void_ticket(
        self, act: NamedDependency[Act], ticket_id: FromPath[str], data: JSONBody[VoidInput]
    ) -> Response[TicketView]:
        """It admits nobody from now on; voiding a void ticket changes nothing."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(ticket_view(await service.void(uow, ticket_id, data.reason)))

        return await act.write(work)


class Checkpoints(Controller):
    """Gates of events."""

    path = "/checkpoints"
    tags = ["Check-in"]

    @get(opt={"ability": "check_ins:read"}, summary="List checkpoints")
    async def list_checkpoints(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        event_id: FromQuery[str | None] = None,
    ) -> Response[CheckpointPage]:
        """Newest first; `event_id` narrows to one event."""
        window = act.window(cursor, limit, event_id)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await checkins.checkpoints(uow, window, event_id=event_id), checkpoint_view, CheckpointPage)

        return await act.read(work)

    @get("/{checkpoint_id:str}", opt={"ability": "check_ins:read"}, summary="Get a checkpoint")
    async def get_checkpoint(self, act: NamedDependency[Act], checkpoint_id: FromPath[str]) -> Response[CheckpointView]:
        """One gate."""

        async def work(uow: UnitOfWork) -> CheckpointView:
            return checkpoint_view(await checkins.get_checkpoint(uow, checkpoint_id))

        return await act.read(work)

    @post(opt={"ability": "events:write"}, summary="Add a checkpoint")
    async def create_checkpoint(
        self, act: NamedDependency[Act], data: JSONBody[CheckpointCreate]
    ) -> Response[CheckpointView]:
        """A gate or door of an event."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(checkpoint_view(await checkins.add_checkpoint(uow, data.event_id, data.name)), 201)

        return await act.write(work)


class CheckIns(Controller):
    """Who came in."""

    path = "/check-ins"
    tags = ["Check-in"]

    @get(opt={"ability": "check_ins:read"}, summary="List check-ins")
    async def list_check_ins(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        event_id: FromQuery[str | None] = None,
    ) -> Response[CheckInPage]:
        """Newest first; `event_id` narrows to one event."""
        window = act.window(cursor, limit, event_id)

        async def work(uow: UnitOfWork) -> Any:
            return page_of(await checkins.listed(uow, window, event_id=event_id), check_in_view, CheckInPage)

        return await act.read(work)

    @get("/{check_in_id:str}", opt={"ability": "check_ins:read"}, summary="Get a check-in")
    async def get_check_in(self, act: NamedDependency[Act], check_in_id: FromPath[str]) -> Response[CheckInView]:
        """One admission."""

        async def work(uow: UnitOfWork) -> CheckInView:
            return check_in_view(await checkins.get(uow, check_in_id))

        return await act.read(work)

    @post(opt=GATE, summary="Check a ticket in")
    async def create_check_in(
        self,
        act: NamedDependency[Act],
        request: Request[Any, Any, Any],
        keys: NamedDependency[PublicKeys],
        data: JSONBody[CheckInCreate],
    ) -> Response[CheckInView]:
        """Admits a ticket once. A refusal is a 409 whose `code` says why; of a used ticket it tells who, when, where.

        Send the scanned `code`, or (by hand) the `ticket_id`. Any number of gates may scan the same ticket at the same
        moment: exactly one is admitted.
        """
        if (data.code is None) == (data.ticket_id is None):
            raise InvalidInput("Give either code or ticket_id.", pointer="/code")

        async def work(uow: UnitOfWork) -> Answer:
            scan = await checkins.redeem(
                uow, keys, checkpoint_id=data.checkpoint_id, code=data.code, ticket_id=data.ticket_id
            )
            if scan.check_in is None:
                return Answer(_refused(request, scan), 409, PROBLEM_JSON)
            return Answer(check_in_view(scan.check_in), 201)

        return await act.write(work)

    @post("/{check_in_id:str}/undo", opt=GATE, status_code=200, summary="Undo a check-in")
    async def undo_check_in(self, act: NamedDependency[Act], check_in_id: FromPath[str]) -> Response[CheckInView]:
        """The ticket admits once more."""

        async def work(uow: UnitOfWork) -> Answer:
            return Answer(check_in_view(await checkins.undo(uow, check_in_id)))

        return await act.write(work)


def _refused(request: Request[Any, Any, Any], scan: Scan) -> Problem:
    """Show a refused scan. It is an answer and not a raised error, because the scan is kept."""
    code = scan.refusal or "refused"
    extra: dict[str, object] = {}
    if scan.first is not None:
        extra["first"] = {
            "check_in_id": scan.first.id,
            "at": rfc3339(scan.first.at),
            "location": scan.first_location,
            "actor": scan.first.actor_id,
        }
    return Problem(
        f"{DOCUMENTED_AT}#{code}", "The ticket is not admitted", 409, scan.detail, code, request.url.path,
        request.scope["state"].get("request_id"), [], extra,
    )  # fmt: skip
