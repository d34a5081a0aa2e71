"""What every connector that gives money back promises, judged by its provider's own ledger.

A connector's tests give: `refunds` (the connector), `provider` (see `FarSide`), `paid` (pays a charge and gives the
provider's ids of it), `refund_of` (makes wishes), and `strangers`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import pytest

from temula.domain.payments.model import RefundState
from temula.domain.payments.ports import RefundAnswer, Refunds, RefundWish
from temula.kernel.money import Money
from temula.kernel.providers import BadCredentials, OutcomeUnknown, Refused, Unreachable
from tests.contract.charges import AMOUNTS
from tests.harness.house import until

Paid = Callable[[Money], Awaitable[Mapping[str, str]]]
RefundOf = Callable[..., RefundWish]
TICKET = Money(5000, "MYR")


class FarSide(Protocol):
    """The provider's stand-in, as the suite needs it."""

    async def fault(self, fault: str, **options: object) -> None:
        """Order a fault for the next call that it fits."""
        ...

    async def given_back(self) -> list[Money]:
        """Tell every amount that went, or is on its way, back to a buyer."""
        ...


class RefundsContract:
    async def test_in_part_then_the_rest(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf
    ) -> None:  # fmt: skip
        """Money goes back in part, then the rest, each as its own refund with an id of its own."""
        refs = await paid(TICKET)
        first = await refunds.refund(refund_of(refs, Money(1234, "MYR")))
        second = await refunds.refund(refund_of(refs, Money(3766, "MYR")))
        assert (first.state, second.state) == (RefundState.SUCCEEDED, RefundState.SUCCEEDED)
        assert first.refs["refund"] != second.refs["refund"]
        assert sorted(await provider.given_back()) == [Money(1234, "MYR"), Money(3766, "MYR")]

    @pytest.mark.parametrize("money", AMOUNTS, ids=str)
    async def test_amount_survives(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf, money: Money
    ) -> None:  # fmt: skip
        """What goes back is what was wished, in any currency."""
        await refunds.refund(refund_of(await paid(money), money))
        assert await provider.given_back() == [money]

    async def test_asked_twice_is_once(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf
    ) -> None:  # fmt: skip
        """The same wish again, also at the same time, is the same refund."""
        wish = refund_of(await paid(TICKET), Money(1000, "MYR"))
        asked = await asyncio.gather(*(refunds.refund(wish) for _ in range(3)), return_exceptions=True)
        assert {type(one) for one in asked} <= {RefundAnswer, OutcomeUnknown}
        assert await refunds.refund(wish) in asked
        assert await provider.given_back() == [wish.money]

    async def test_more_than_was_paid(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf
    ) -> None:  # fmt: skip
        """More than is left is refused, and nothing goes back."""
        refs = await paid(TICKET)
        await refunds.refund(refund_of(refs, Money(4000, "MYR")))
        with pytest.raises(Refused):
            await refunds.refund(refund_of(refs, Money(1001, "MYR")))
        assert await provider.given_back() == [Money(4000, "MYR")]

    async def test_busy(self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf) -> None:
        """A provider that is busy gave nothing back, and there is nothing to find."""
        wish = refund_of(await paid(TICKET), TICKET)
        await provider.fault("busy")
        with pytest.raises(Unreachable):
            await refunds.refund(wish)
        assert await refunds.look_up_refund(wish) is None
        assert await provider.given_back() == []

    @pytest.mark.parametrize(
        ("fault", "options"), [("lose-answer", {}), ("garbage", {}), ("slow", {"seconds": 1.5})]
    )  # fmt: skip
    async def test_outcome_unknown_is_looked_up(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf, fault: str,
        options: Mapping[str, object],
    ) -> None:  # fmt: skip
        """What may have happened is called so, and is found by our id: the money went back once."""
        wish = refund_of(await paid(TICKET), Money(1000, "MYR"))
        await provider.fault(fault, path="/v1/refunds", **options)
        with pytest.raises(OutcomeUnknown):
            await refunds.refund(wish)
        found = await refunds.look_up_refund(wish)
        assert found is not None
        assert found.state is RefundState.SUCCEEDED

        async def again() -> RefundAnswer | None:
            with contextlib.suppress(OutcomeUnknown):  # the first request may still be worked on
                return await refunds.refund(wish)
            return None

        assert await until(again) == found
        assert await provider.given_back() == [wish.money]

    async def test_error_that_stays(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf
    ) -> None:  # fmt: skip
        """A server error may have happened; there is none to find, and nothing went back."""
        wish = refund_of(await paid(TICKET), TICKET)
        await provider.fault("server-error", path="/v1/refunds")
        with pytest.raises(OutcomeUnknown):
            await refunds.refund(wish)
        assert await refunds.look_up_refund(wish) is None
        assert await provider.given_back() == []

    @pytest.mark.parametrize("answered", [RefundState.PENDING, RefundState.SUCCEEDED])
    async def test_fails_later(
        self, refunds: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf, answered: RefundState
    ) -> None:  # fmt: skip
        """A refund that fails after it was answered is seen as failed, with the reason."""
        wish = refund_of(await paid(TICKET), TICKET)
        await provider.fault("refund-fails", status=answered.value)
        assert (await refunds.refund(wish)).state is answered
        found = await refunds.look_up_refund(wish)
        assert found is not None
        assert (found.state, found.failure) == (RefundState.FAILED, "expired_or_canceled_card")
        known = refund_of({**wish.refs, **found.refs}, TICKET)
        assert await refunds.look_up_refund(known) == found

    async def test_not_their_credentials(
        self, strangers: Refunds, provider: FarSide, paid: Paid, refund_of: RefundOf
    ) -> None:  # fmt: skip
        """Credentials that the provider does not know are named as that, and nothing goes back."""
        wish = refund_of(await paid(TICKET), TICKET)
        for ask in (strangers.refund, strangers.look_up_refund):
            with pytest.raises(BadCredentials):
                await ask(wish)
        assert await provider.given_back() == []
