"""What payments need from outside, one capability a protocol, and the provider errors by what comes next.

    ProviderError
     x Refused          our request is wrong: a person looks      x Unreachable     it did not happen: ask again later
     x BadCredentials   the organizer mends the connection        x OutcomeUnknown  it may have happened: ask by key
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from temula.domain.connections.model import Opened
from temula.domain.payments.model import Observation, PaymentState, RefundState
from temula.kernel.errors import Misconfigured, TemulaError, Unavailable
from temula.kernel.money import Money


class ProviderError(TemulaError):
    """Root of what a connector may raise."""

    code = "provider_error"
    title = "The payment provider did not do it"


class Refused(ProviderError):
    """The provider understood and will not: repeating the same changes nothing."""

    code = "provider_refused"


class BadCredentials(ProviderError, Misconfigured):
    """The provider does not accept the connection's credentials."""

    code = "provider_credentials"


class Unreachable(ProviderError, Unavailable):
    """The provider was not reached, or said it is busy: nothing happened there."""

    code = "provider_unreachable"


class OutcomeUnknown(ProviderError, Unavailable):
    """The request was sent and no answer came: it may have happened. Look it up by its key before anything else."""

    code = "provider_outcome_unknown"


class ChargeWish(msgspec.Struct, frozen=True, kw_only=True):
    """A charge to ask for. With the same `key` it is the same charge, however often it is asked for."""

    organization_id: str
    attempt_id: str
    registration_id: str
    key: str
    money: Money
    description: str
    success_url: str
    cancel_url: str
    expires_at: datetime


class ChargeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider made of it: its ids by kind, and where the buyer goes next (`redirect`), if anywhere."""

    refs: Mapping[str, str]
    state: PaymentState
    next_action_kind: str | None
    next_action_url: str | None


class RefundWish(msgspec.Struct, frozen=True, kw_only=True):
    """A refund to ask for; `refs` are the provider's ids of the payment by kind."""

    organization_id: str
    refund_id: str
    key: str
    refs: Mapping[str, str]
    money: Money
    reason: str


class RefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider made of a refund."""

    refs: Mapping[str, str]
    state: RefundState
    failure: str | None = None


class Charges(Protocol):
    """Takes money."""

    async def charge(self, wish: ChargeWish) -> ChargeAnswer:
        """Ask for a charge; asking twice with one key is asking once. Raises `ProviderError`."""
        ...

    async def look_up(self, wish: ChargeWish) -> ChargeAnswer:
        """Find by its key the charge whose answer was lost."""
        ...

    async def observe(self, refs: Mapping[str, str]) -> list[Observation]:
        """See how a charge stands now."""
        ...


class Refunds(Protocol):
    """Gives money back."""

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        """Ask for a refund; asking twice with one key is asking once. Raises `ProviderError`."""
        ...

    async def look_up_refund(self, wish: RefundWish) -> RefundAnswer | None:
        """Find the refund whose answer was lost; None if there is none."""
        ...


class Gateways(Protocol):
    """Opens connectors; built by `operations.wiring` from what `inbound` offers."""

    def charges(self, opened: Opened) -> Charges:
        """Give the connector that takes money through this connection."""
        ...

    def refunds(self, opened: Opened) -> Refunds:
        """Give the connector that gives money back through this connection; raises `Refused` if it cannot."""
        ...
