"""Stripe's capabilities: mapping over client."""

from collections.abc import Mapping

from temula.domain.connections.model import Opened
from temula.domain.payments.model import Observation
from temula.domain.payments.ports import ChargeAnswer, Charges, ChargeWish, RefundAnswer, Refunds, RefundWish
from temula.inbound.kit.client import ProviderClient
from temula.inbound.payments.stripe import mapping
from temula.inbound.payments.stripe.client import StripeClient


class Stripe:
    """Takes money on Stripe's hosted page and gives it back."""

    def __init__(self, client: ProviderClient, opened: Opened) -> None:
        self._client = StripeClient(client, opened.credentials["secret_key"])

    async def charge(self, wish: ChargeWish) -> ChargeAnswer:
        """Open a Checkout Session for the wish."""
        return mapping.to_answer(await self._client.create_session(mapping.to_session(wish), wish.key))

    async def look_up(self, wish: ChargeWish) -> ChargeAnswer:
        """Ask again with the same key: within a day Stripe repeats its first answer, whatever became of it."""
        return await self.charge(wish)

    async def observe(self, refs: Mapping[str, str]) -> list[Observation]:
        """Fetch the session as it stands."""
        session = await self._client.session(refs["session"])
        return [mapping.seen_session(session, f"fetched:{session.id}")]

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        """Ask for a refund of the payment behind the session."""
        return mapping.to_refund_answer(await self._client.create_refund(mapping.to_refund(wish), wish.key))

    async def look_up_refund(self, wish: RefundWish) -> RefundAnswer | None:
        """Find the refund that carries our id."""
        for refund in await self._client.refunds(wish.refs["payment_intent"]):
            if (refund.metadata or {}).get(mapping.REFUND) == wish.refund_id:
                return mapping.to_refund_answer(refund)
        return None


charges: type[Charges] = Stripe  # the type checker proves the capabilities here
refunds: type[Refunds] = Stripe
CONNECTOR = Stripe
