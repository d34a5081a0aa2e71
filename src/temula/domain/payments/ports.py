"""What payments need from outside, one capability a protocol; connectors raise `kernel.providers` errors only."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from temula.domain.connections.model import Opened
from temula.domain.payments.model import Observation, PaymentState, RefundState
from temula.kernel.money import Money


class ChargeWish(msgspec.Struct, frozen=True, kw_only=True):
    """A charge to ask for. With the same `key` it is the same charge, however often it is asked for.

    `wanted_at` is when it was first wanted: nothing of it is older at the provider.
    """

    organization_id: str
    attempt_id: str
    registration_id: str
    key: str
    money: Money
    description: str
    success_url: str
    cancel_url: str
    wanted_at: datetime
    expires_at: datetime


class ChargeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider made of it: its ids by kind, and where the buyer goes next (`redirect`), if anywhere."""

    refs: Mapping[str, str]
    state: PaymentState
    next_action_kind: str | None
    next_action_url: str | None


class RefundWish(msgspec.Struct, frozen=True, kw_only=True):
    """A refund to ask for; `refs` are the provider's ids by kind: of the payment, and of the refund once known."""

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

    async def look_up(self, wish: ChargeWish) -> ChargeAnswer | None:
        """Find the charge whose answer was lost, or ask for it again; None if there is none and the key gives none."""
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
        """See how the refund stands, also one whose answer was lost; None if there is none."""
        ...


class Gateways(Protocol):
    """Opens connectors; built by `operations.wiring` from what `inbound` offers."""

    def charges(self, opened: Opened) -> Charges:
        """Give the connector that takes money through this connection."""
        ...

    def refunds(self, opened: Opened) -> Refunds:
        """Give the connector that gives money back through this connection; raises `Refused` if it cannot."""
        ...
