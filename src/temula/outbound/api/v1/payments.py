"""Payments and refunds."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from temula.domain.payments import service
from temula.kernel.database import UnitOfWork
from temula.outbound.api.checkout import Checkout
from temula.outbound.callers.acts import Act, page_of
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.payments import (
    PaymentPage,
    PaymentView,
    RefundCreate,
    RefundPage,
    RefundView,
    payment_view,
    refund_view,
)

READ, WRITE = {"ability": "payments:read"}, {"ability": "payments:write"}


class Payments(Controller):
    """What is owed and was paid."""

    path = "/payments"
    tags = ["Payments"]

    @get(opt=READ, summary="List payments")
    async def list_payments(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        registration_id: FromQuery[str | None] = None,
    ) -> Response[PaymentPage]:
        """Newest first; `registration_id` narrows to one registration."""
        window = act.window(cursor, limit, registration_id)

        async def work(uow: UnitOfWork) -> Any:
            found = await service.listed(uow, window, registration_id=registration_id)
            return page_of(found, payment_view, PaymentPage)

        return await act.read(work)

    @get("/{payment_id:str}", opt=READ, summary="Get a payment")
    async def get_payment(self, act: NamedDependency[Act], payment_id: FromPath[str]) -> Response[PaymentView]:
        """With its attempts and transactions."""

        async def work(uow: UnitOfWork) -> PaymentView:
            payment = await service.get(uow, payment_id)
            attempts = await service.attempts(uow, payment.id)
            return payment_view(payment, attempts, await service.transactions(uow, payment.id))

        return await act.read(work)


class Refunds(Controller):
    """Money given back."""

    path = "/refunds"
    tags = ["Payments"]

    @get(opt=READ, summary="List refunds")
    async def list_refunds(
        self,
        act: NamedDependency[Act],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
        registration_id: FromQuery[str | None] = None,
    ) -> Response[RefundPage]:
        """Newest first; `registration_id` narrows to one registration."""
        window = act.window(cursor, limit, registration_id)

        async def work(uow: UnitOfWork) -> Any:
            found = await service.refunds(uow, window, registration_id=registration_id)
            return page_of(found, refund_view, RefundPage)

        return await act.read(work)

    @get("/{refund_id:str}", opt=READ, summary="Get a refund")
    async def get_refund(self, act: NamedDependency[Act], refund_id: FromPath[str]) -> Response[RefundView]:
        """One refund."""

        async def work(uow: UnitOfWork) -> RefundView:
            return refund_view(await service.get_refund(uow, refund_id))

        return await act.read(work)

    @post(opt=WRITE, summary="Refund a registration")
    async def create_refund(
        self, act: NamedDependency[Act], checkout: NamedDependency[Checkout], data: JSONBody[RefundCreate]
    ) -> Response[RefundView]:
        """For attendees (whose tickets are then void), an amount, or all that is left.

        The provider may take its time: `state` tells how the refund stands, `registration.refunded` when it is done.
        """
        return await checkout.refund(
            act, data.registration_id, reason=data.reason, attendee_ids=data.attendee_ids, amount=data.amount
        )
