"""What can have happened to money."""

from typing import Annotated

from msgspec import Meta

from temula.kernel.facts import Currency, Fact, Minor
from temula.kernel.ids import PaymentId, RefundId, RegistrationId, TransactionId


class PaymentSucceeded(Fact, frozen=True, kw_only=True):
    """A transaction is confirmed."""

    TYPE = "payment.succeeded"
    transaction_id: TransactionId
    registration_id: RegistrationId
    amount: Minor
    currency: Currency
    gateway: Annotated[str, Meta(description="The provider that took it", examples=["stripe"])]
    reference: Annotated[str, Meta(description="The provider's own id of it", examples=["pi_3QK8sL2eZvKYlo2C"])]


class PaymentFailed(Fact, frozen=True, kw_only=True):
    """A charge was declined; `retry_count` is how many declines came before it."""

    TYPE = "payment.failed"
    transaction_id: TransactionId
    registration_id: RegistrationId
    reason: Annotated[str, Meta(examples=["card_declined"])]
    retry_count: Annotated[int, Meta(examples=[0])]


class PaymentEnded(Fact, frozen=True, kw_only=True):
    """An attempt ended without money: what it held can be let go."""

    TYPE = "payment.ended"
    PUBLIC = False
    payment_id: PaymentId
    registration_id: RegistrationId
    state: str


class RefundSucceeded(Fact, frozen=True, kw_only=True):
    """Money went back to the buyer."""

    TYPE = "refund.succeeded"
    PUBLIC = False
    refund_id: RefundId
    registration_id: RegistrationId
    amount: int
    currency: str
    reason: str
    attendee_ids: list[str]
    whole: bool


class RefundFailed(Fact, frozen=True, kw_only=True):
    """Money did not go back after all; `undone` says that it had been told as gone."""

    TYPE = "refund.failed"
    PUBLIC = False
    refund_id: RefundId
    registration_id: RegistrationId
    amount: int
    currency: str
    reason: str
    undone: bool
