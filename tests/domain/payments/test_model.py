"""The state machines of payments and refunds: whatever comes, in any order and however often, they end the same."""

from hypothesis import given
from hypothesis import strategies as st

from temula.domain.payments.model import (
    ENDS,
    REFUND_LOST,
    PaymentObservation,
    PaymentState,
    RefundState,
    Step,
    advance,
    advance_refund,
)
from temula.kernel.money import Money

OWED = Money(5000, "MYR")
AMISS = (None, Money(4999, "MYR"), Money(5001, "MYR"), Money(5000, "JPY"), Money(0, "MYR"))


def seen(
    state: PaymentState | None, money: Money | None = OWED, decline: str | None = None
) -> PaymentObservation:  # fmt: skip
    return PaymentObservation(
        key="k", refs={}, attempt_id="pat_1", organization_id="org_a", state=state, money=money, decline=decline
    )


observations = st.builds(
    seen, st.none() | st.sampled_from(PaymentState), st.sampled_from((OWED, *AMISS)), st.none() | st.just("declined")
)
histories = st.lists(observations, max_size=8)


def after(history: list[PaymentObservation], state: PaymentState = PaymentState.CREATED) -> PaymentState:
    for one in history:
        state = advance(state, OWED, one).state
    return state


@given(histories.flatmap(lambda history: st.tuples(st.just(history), st.permutations(history))))
def test_any_order_ends_the_same(both: tuple[list[PaymentObservation], list[PaymentObservation]]) -> None:
    """However observations are shuffled, the attempt ends in the same state."""
    history, shuffled = both
    assert after(shuffled) == after(history)


@given(histories, st.data())
def test_doubles_change_nothing(history: list[PaymentObservation], data: st.DataObject) -> None:
    """Seen twice, three times, or again much later is seen once."""
    again = data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    assert after([*history, *again]) == after(history)


@given(histories, st.sets(st.integers(0, 7)), observations)
def test_lost_and_then_looked_at(history: list[PaymentObservation], lost: set[int], end: PaymentObservation) -> None:
    """What is lost on the way is made good by one look at how it ended, if the way led there."""
    end = seen(PaymentState.SUCCEEDED) if end.state is None else end
    arrived = [one for place, one in enumerate(history) if place not in lost]
    whole = after([*history, end])
    if advance(after(history), OWED, end).state == after([end]) == whole:
        assert after([*arrived, end]) == whole


@given(histories)
def test_succeeded_never_goes_back(history: list[PaymentObservation]) -> None:
    """Once it has succeeded, nothing that is seen changes it."""
    assert after(history, PaymentState.SUCCEEDED) is PaymentState.SUCCEEDED


@given(histories)
def test_only_the_amount_owed_is_success(history: list[PaymentObservation]) -> None:
    """It has succeeded exactly if the amount and currency owed were seen as paid."""
    paid = any(one.state is PaymentState.SUCCEEDED and one.money == OWED for one in history)
    assert (after(history) is PaymentState.SUCCEEDED) == paid


@given(st.sampled_from(PaymentState), st.sampled_from(AMISS))
def test_what_does_not_add_up_needs_a_person(state: PaymentState, money: Money | None) -> None:
    """A wrong amount or currency is neither paid nor failed; a person looks, and reads both amounts."""
    step = advance(state, OWED, seen(PaymentState.SUCCEEDED, money))
    if state in (PaymentState.SUCCEEDED, PaymentState.NEEDS_REVIEW):
        assert step == Step(state)
    else:
        assert step == Step(PaymentState.NEEDS_REVIEW, f"paid {money} where {OWED} was owed")


@given(histories)
def test_unknown_is_never_an_end(history: list[PaymentObservation]) -> None:
    """A status that we do not know is never taken for an end: it needs a person, unless it turns out paid."""
    assert after([*history, seen(None)]) in (PaymentState.NEEDS_REVIEW, PaymentState.SUCCEEDED)
    assert after([seen(None), *history]) in (PaymentState.NEEDS_REVIEW, PaymentState.SUCCEEDED)


@given(st.sampled_from(PaymentState))
def test_a_refused_card_ends_nothing(state: PaymentState) -> None:
    """A refused card leaves the attempt as it is: the buyer may try the next one."""
    assert advance(state, OWED, seen(None, decline="insufficient_funds")) == Step(state)


@given(st.sampled_from(PaymentState))
def test_late_success_is_flagged(state: PaymentState) -> None:
    """Paid after all: it counts, and is flagged as late if the attempt had ended."""
    step = advance(state, OWED, seen(PaymentState.SUCCEEDED))
    assert step.state is PaymentState.SUCCEEDED
    assert step.late == (state in ENDS)


refund_histories = st.lists(st.none() | st.sampled_from(RefundState), max_size=8)


def refunded(history: list[RefundState | None], state: RefundState = RefundState.REQUESTED) -> RefundState:
    for one in history:
        state = advance_refund(state, one)
    return state


@given(refund_histories.flatmap(lambda history: st.tuples(st.just(history), st.permutations(history + history[:3]))))
def test_refund_in_any_order(both: tuple[list[RefundState | None], list[RefundState | None]]) -> None:
    """However a refund's states are shuffled and doubled, it ends in the same one."""
    history, shuffled = both
    assert refunded(shuffled) == refunded(history)


@given(refund_histories)
def test_refund_lost_is_lost(history: list[RefundState | None]) -> None:
    """A refund that failed stays failed, and one that succeeded only ever fails."""
    assert refunded(history, RefundState.FAILED) is RefundState.FAILED
    assert refunded(history, RefundState.CANCELED) in REFUND_LOST
    assert refunded(history, RefundState.SUCCEEDED) in {RefundState.SUCCEEDED, *REFUND_LOST}


@given(st.sampled_from(RefundState))
def test_refund_of_unknown_state(state: RefundState) -> None:
    """A status that we do not know changes nothing: money is not called back on a guess."""
    assert advance_refund(state, None) is state
