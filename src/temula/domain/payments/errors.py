"""What can go wrong with payments; connectors raise `kernel.providers` errors.

NotFound  x NoSuchPayment   x NoSuchRefund
Conflict  x NotRefundable   refund less, or wait until it is paid
"""

from temula.kernel.errors import Conflict, NotFound


class NoSuchPayment(NotFound):
    """The organization has no such payment."""

    code = "payment_not_found"


class NoSuchRefund(NotFound):
    """The organization has no such refund."""

    code = "refund_not_found"


class NotRefundable(Conflict):
    """More is asked back than is captured and not yet refunded."""

    code = "not_refundable"
