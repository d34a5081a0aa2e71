"""What every connector that takes money promises, judged by its provider's own ledger: one suite for all of them.

A connector's tests give four fixtures: `charges` (the connector), `provider` (the far side, see `FarSide`), `wish_of`
(makes wishes of a new attempt each), and `strangers` (the connector with credentials that the provider does not know).
"""

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

import pytest
from structlog.testing import capture_logs

from temula.domain.payments.model import Observation, PaymentObservation, PaymentState
from temula.domain.payments.ports import ChargeAnswer, Charges, ChargeWish
from temula.kernel.money import Money
from temula.kernel.providers import BadCredentials, OutcomeUnknown, ProviderError, Refused, Unreachable

WishOf = Callable[..., ChargeWish]
AMOUNTS = (Money(12345, "MYR"), Money(5000, "JPY"), Money(12340, "KWD"), Money(700, "ISK"), Money(99_999_990, "OMR"))


class FarSide(Protocol):
    """The provider's stand-in, as the suite needs it. Its ledger is the judge, not what the connector says."""

    secrets: tuple[str, ...]

    async def fault(self, fault: str, **options: object) -> None:
        """Order a fault for the next call that it fits."""
        ...

    async def charges_of(self, attempt_id: str) -> list[Money]:
        """Tell which charges there are of an attempt, paid or not."""
        ...

    async def captured(self) -> list[Money]:
        """Tell every amount that was taken from a buyer."""
        ...

    async def buyer(self, answer: ChargeAnswer, outcome: str) -> None:
        """Let the buyer `succeed`, be `decline`d, promise to pay later (`processing`)."""
        ...

    async def settle(self, answer: ChargeAnswer, outcome: str) -> None:
        """Let a promised payment come (`succeed`) or not (`fail`)."""
        ...

    async def run_out(self, answer: ChargeAnswer) -> None:
        """Let the time to pay run out."""
        ...


def payments_in(observed: list[Observation]) -> list[PaymentObservation]:
    return [seen for seen in observed if isinstance(seen, PaymentObservation)]


class ChargesContract:
    async def test_asked_for(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A charge that is asked for is there once, open, and says where the buyer goes."""
        wish = wish_of()
        answer = await charges.charge(wish)
        assert (answer.state, answer.next_action_kind) == (PaymentState.REQUIRES_ACTION, "redirect")
        assert answer.next_action_url
        assert answer.refs
        assert await provider.charges_of(wish.attempt_id) == [wish.money]
        assert await provider.captured() == []

    async def test_asked_twice_is_once(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """The same wish again is the same charge: nothing new at the provider."""
        wish = wish_of()
        first = await charges.charge(wish)
        assert await charges.charge(wish) == first
        assert await charges.look_up(wish) == first
        assert await provider.charges_of(wish.attempt_id) == [wish.money]

    async def test_asked_twice_at_once_is_once(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """Asked again while the first request is still worked on, nothing is refused and one charge is there."""
        wish = wish_of()
        await provider.fault("slow", seconds=0.3)
        asked = await asyncio.gather(*(charges.charge(wish) for _ in range(3)), return_exceptions=True)
        assert {type(one) for one in asked} <= {ChargeAnswer, OutcomeUnknown}
        assert await charges.look_up(wish) in asked
        assert await provider.charges_of(wish.attempt_id) == [wish.money]

    async def test_key_of_another_wish(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A key that was used for another amount is refused, and nothing happens."""
        wish = wish_of()
        await charges.charge(wish)
        with pytest.raises(Refused):
            await charges.charge(wish_of(money=wish.money + wish.money, key=wish.key, attempt_id=wish.attempt_id))
        assert await provider.charges_of(wish.attempt_id) == [wish.money]

    @pytest.mark.parametrize("money", AMOUNTS, ids=str)
    async def test_amount_survives(
        self, charges: Charges, provider: FarSide, wish_of: WishOf, money: Money
    ) -> None:  # fmt: skip
        """What is owed, what the provider holds and what is seen when it is paid are one amount, in any currency."""
        wish = wish_of(money=money)
        answer = await charges.charge(wish)
        assert await provider.charges_of(wish.attempt_id) == [money]
        await provider.buyer(answer, "succeed")
        assert await provider.captured() == [money]
        (seen,) = payments_in(await charges.observe(answer.refs))
        assert (seen.state, seen.money, seen.attempt_id) == (PaymentState.SUCCEEDED, money, wish.attempt_id)
        assert seen.organization_id == wish.organization_id

    async def test_declined_then_paid(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A refused card is seen with its reason and ends nothing; the next card pays the same charge."""
        answer = await charges.charge(wish_of())
        await provider.fault("decline")
        await provider.buyer(answer, "succeed")
        seen = payments_in(await charges.observe(answer.refs))
        assert [one.decline for one in seen if one.decline] == ["generic_decline"]
        assert {one.state for one in seen} <= {None, PaymentState.REQUIRES_ACTION}
        again = payments_in(await charges.observe(answer.refs))
        assert [one.key for one in again] == [one.key for one in seen]
        await provider.buyer(answer, "succeed")
        assert [one.state for one in payments_in(await charges.observe(answer.refs))] == [PaymentState.SUCCEEDED]
        assert len(await provider.captured()) == 1

    @pytest.mark.parametrize(("outcome", "end"), [("succeed", PaymentState.SUCCEEDED), ("fail", PaymentState.FAILED)])
    async def test_delayed(
        self, charges: Charges, provider: FarSide, wish_of: WishOf, outcome: str, end: PaymentState
    ) -> None:  # fmt: skip
        """A payment that was promised is not paid; a look finds how it ended."""
        answer = await charges.charge(wish_of())
        await provider.buyer(answer, "processing")
        assert [one.state for one in payments_in(await charges.observe(answer.refs))] == [PaymentState.PROCESSING]
        await provider.settle(answer, outcome)
        assert end in [one.state for one in payments_in(await charges.observe(answer.refs))]

    async def test_ran_out(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A charge that nobody paid in time is seen as expired."""
        answer = await charges.charge(wish_of())
        await provider.run_out(answer)
        assert [one.state for one in payments_in(await charges.observe(answer.refs))] == [PaymentState.EXPIRED]

    async def test_busy(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A provider that is busy did nothing, and says so; asked later by the same key it does it once."""
        wish = wish_of()
        await provider.fault("busy")
        with pytest.raises(Unreachable):
            await charges.charge(wish)
        assert await provider.charges_of(wish.attempt_id) == []
        assert await charges.look_up(wish) is not None
        assert await provider.charges_of(wish.attempt_id) == [wish.money]

    @pytest.mark.parametrize(
        ("fault", "options"),
        [("lose-answer", {}), ("garbage", {}), ("slow", {"seconds": 3}), ("busy", {"status": 503})],
    )
    async def test_outcome_unknown_is_looked_up(
        self, charges: Charges, provider: FarSide, wish_of: WishOf, fault: str, options: Mapping[str, object]
    ) -> None:  # fmt: skip
        """What may have happened is called so, is found by its key, and is there once."""
        wish = wish_of()
        await provider.fault(fault, **options)
        with pytest.raises(OutcomeUnknown):
            await charges.charge(wish)
        found = await charges.look_up(wish)
        assert found is not None
        assert found.next_action_url
        assert await provider.charges_of(wish.attempt_id) == [wish.money]

    async def test_error_that_stays(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A server error may have happened; if the key goes on giving it and nothing is there, nothing came of it."""
        wish = wish_of()
        await provider.fault("server-error")
        with pytest.raises(OutcomeUnknown):
            await charges.charge(wish)
        assert await charges.look_up(wish) is None
        assert await provider.charges_of(wish.attempt_id) == []

    async def test_looked_up_in_trouble(self, charges: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """A look-up whose own answer is lost leaves the outcome unknown, and charges nothing twice."""
        wish = wish_of()
        for fault in ("lose-answer", "garbage"):
            await provider.fault(fault, count=2)
        for ask in (charges.charge, charges.look_up, charges.look_up):
            with contextlib.suppress(OutcomeUnknown):
                await ask(wish)
        assert await charges.look_up(wish) is not None
        assert await provider.charges_of(wish.attempt_id) == [wish.money]

    async def test_not_their_credentials(self, strangers: Charges, provider: FarSide, wish_of: WishOf) -> None:
        """Credentials that the provider does not know are named as that, and nothing happens."""
        wish = wish_of()
        for ask in (strangers.charge, strangers.look_up):
            with pytest.raises(BadCredentials):
                await ask(wish)
        assert await provider.charges_of(wish.attempt_id) == []

    async def test_no_secret_is_told(
        self, charges: Charges, strangers: Charges, provider: FarSide, wish_of: WishOf, caplog: pytest.LogCaptureFixture
    ) -> None:  # fmt: skip
        """All that is logged and raised while everything goes wrong holds no credential and no key of a page."""
        caplog.set_level("DEBUG")
        told: list[str] = []
        with capture_logs() as logged:
            for fault in ("busy", "server-error", "lose-answer", "garbage", "slow", None):
                if fault:
                    await provider.fault(fault, seconds=3)
                for ask in (charges.charge, strangers.charge):
                    try:
                        told.append(repr(await ask(wish_of())))
                    except ProviderError as error:
                        told += traceback.format_exception(error)
        transcript = "\n".join([*told, *map(str, logged), caplog.text, *(str(vars(one)) for one in caplog.records)])
        assert "request" in transcript
        assert [secret for secret in provider.secrets if secret in transcript] == []
