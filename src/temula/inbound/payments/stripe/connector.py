"""Stripe's capabilities: mapping over client."""

from collections.abc import Mapping
from datetime import timedelta

from temula.domain.connections.model import Opened
from temula.domain.payments.model import Observation
from temula.domain.payments.ports import ChargeAnswer, Charges, ChargeWish, RefundAnswer, Refunds, RefundWish
from temula.inbound.kit.client import ProviderClient
from temula.inbound.payments.stripe import mapping
from temula.inbound.payments.stripe.client import KeySpent, StripeClient
from temula.kernel.providers import OutcomeUnknown

CLOCKS_APART = timedelta(minutes=5)


class Stripe:
    """Takes money on Stripe's hosted page and gives it back."""

    def __init__(self, client: ProviderClient, opened: Opened) -> None:
        self._client = StripeClient(client, opened.credentials["secret_key"])

    async def charge(self, wish: ChargeWish) -> ChargeAnswer:
        """Open a Checkout Session for the wish."""
        return mapping.to_answer(await self._client.create_session(mapping.to_session(wish), wish.key))

    async def look_up(self, wish: ChargeWish) -> ChargeAnswer | None:
        """Ask again with the same key: within a day Stripe repeats its first answer, also an error that it ended in.

        So the sessions made since are looked through for ours before that error counts. Two of them cost nothing: a
        buyer pays on the one whose address we gave out.
        """
        try:
            return await self.charge(wish)
        except OutcomeUnknown as error:
            made = await self._client.sessions_since(wish.wanted_at - CLOCKS_APART)
            ours = [session for session in made if session.client_reference_id == wish.attempt_id]
            if ours:
                return mapping.to_answer(ours[-1])
            if isinstance(error, KeySpent):
                return None
            raise

    async def observe(self, refs: Mapping[str, str]) -> list[Observation]:
        """Fetch the session as it stands, and its intent while it is not paid: cards refused, a payment that failed."""
        session = await self._client.session(refs["session"])
        seen: list[Observation] = [mapping.seen_session(session, f"fetched:{session.id}")]
        if session.payment_intent and session.payment_status == "unpaid":
            intent = await self._client.intent(session.payment_intent)
            seen += mapping.seen_intent(intent, session)
        return seen

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        """Ask for a refund of the payment behind the session."""
        return mapping.to_refund_answer(await self._client.create_refund(mapping.to_refund(wish), wish.key))

    async def look_up_refund(self, wish: RefundWish) -> RefundAnswer | None:
        """Fetch the refund, or find the one that carries our id."""
        if (known := wish.refs.get("refund")) is not None:
            return mapping.to_refund_answer(await self._client.refund(known))
        for refund in await self._client.refunds(wish.refs["payment_intent"]):
            if (refund.metadata or {}).get(mapping.REFUND) == wish.refund_id:
                return mapping.to_refund_answer(refund)
        return None


charges: type[Charges] = Stripe  # the type checker proves the capabilities here
refunds: type[Refunds] = Stripe
CONNECTOR = Stripe
