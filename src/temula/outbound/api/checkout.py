"""Registering with a payment: hold and want (a transaction), ask the provider (none), answer (a transaction)."""

from typing import Any
from urllib.parse import urlsplit

import structlog
from litestar import Response

from temula.domain.connections import service as connections
from temula.domain.connections.errors import NoConnection
from temula.domain.connections.model import PAYMENTS, Connection
from temula.domain.payments import service as payments
from temula.domain.payments.ports import Gateways
from temula.domain.registrations import service
from temula.domain.registrations.model import Buyer, Seat
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.providers import OutcomeUnknown, ProviderError
from temula.outbound.callers.acts import Act, Answer
from temula.outbound.schemas.payments import refund_view
from temula.outbound.schemas.registrations import registration_view

log = structlog.get_logger()

LONGEST_URL = 2000


class Checkout:
    """What the routes of money need beside the database: connections, connectors, and where buyers come back to."""

    def __init__(self, database: Database, gateways: Gateways, ring: KeyRing, public_url: str) -> None:
        self._database = database
        self._gateways = gateways
        self._ring = ring
        self._public_url = public_url

    async def register(
        self, act: Act, event_id: str, buyer: Buyer, seats: list[Seat], success_url: str | None, cancel_url: str | None
    ) -> Response[Any]:
        """Register, and open the payment if it costs anything."""
        success, cancel = self._back(success_url, cancel_url)
        connection = await self._connection(act)

        async def first(uow: UnitOfWork) -> str:
            registered = await service.register(uow, event_id, buyer, seats)
            if registered.registration.total:
                if isinstance(connection, Exception):
                    raise connection
                await service.want_payment(uow, registered, connection, success_url=success, cancel_url=cancel)
            return registered.registration.id

        return await act.write_in_two(first, lambda made: self._ask(act, made), _shown_as(201))

    async def pay_again(
        self, act: Act, registration_id: str, success_url: str | None, cancel_url: str | None
    ) -> Response[Any]:
        """Open another attempt at a pending registration's payment."""
        success, cancel = self._back(success_url, cancel_url)
        connection = await self._connection(act)

        async def first(uow: UnitOfWork) -> str:
            if isinstance(connection, Exception):
                await service.get(uow, registration_id)
                raise connection
            await service.want_again(uow, registration_id, connection, success_url=success, cancel_url=cancel)
            return registration_id

        return await act.write_in_two(first, lambda made: self._ask(act, made), _shown_as(200))

    async def refund(
        self, act: Act, registration_id: str, *, reason: str, attendee_ids: list[str], amount: int | None
    ) -> Response[Any]:
        """Reserve a refund, ask for it, and answer how it stands."""

        async def first(uow: UnitOfWork) -> str:
            refund = await service.refund(uow, registration_id, reason=reason, attendee_ids=attendee_ids, amount=amount)
            return refund.id

        async def ask(refund_id: str) -> None:
            try:
                await payments.ask_refund(self._database, self._gateways, self._ring, act.actor, refund_id)
            except ProviderError as error:
                log.info("refund.later", refund=refund_id, code=error.code)

        async def then(uow: UnitOfWork, refund_id: str) -> Answer:
            return Answer(refund_view(await payments.get_refund(uow, refund_id)), 201)

        return await act.write_in_two(first, ask, then)

    async def _connection(self, act: Act) -> Connection | Exception:
        """Find the connection; that there is none matters only to what costs something."""
        try:
            return await connections.resolve(self._database, act.actor, PAYMENTS)
        except NoConnection as error:
            return error

    async def _ask(self, act: Act, registration_id: str) -> None:
        async with self._database.reading(act.actor) as uow:
            attempt = (await service.get(uow, registration_id)).attempt
        if attempt is None:
            return
        try:
            await payments.ask_charge(self._database, self._gateways, self._ring, act.actor, attempt.id)
        except OutcomeUnknown as error:
            # A job asks again by the same key; the caller gets the registration as it stands.
            log.info("charge.unknown", attempt=attempt.id, code=error.code)
        except ProviderError as error:
            log.info("charge.later", attempt=attempt.id, code=error.code)

    def _back(self, success_url: str | None, cancel_url: str | None) -> tuple[str, str]:
        success = (
            f"{self._public_url}/checkout/paid" if success_url is None else _web_address(success_url, "success_url")
        )
        if cancel_url is None:
            return success, f"{self._public_url}/checkout/cancelled"
        return success, _web_address(cancel_url, "cancel_url")


def _web_address(url: str, field: str) -> str:
    """Refuse what no browser could be sent to; providers refuse it too, but only once the tickets are held."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or len(url) > LONGEST_URL or " " in url or not url.isprintable():
        raise InvalidInput(
            f"{field} must be an http(s) address of at most {LONGEST_URL} characters.", pointer=f"/{field}"
        )
    return url


def _shown_as(status: int) -> Any:
    async def then(uow: UnitOfWork, registration_id: str) -> Answer:
        return Answer(registration_view(await service.get(uow, registration_id)), status)

    return then
