"""Stripe's words and ours: amounts survive in every currency, and what we do not know is never paid."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.domain.payments.model import PaymentState, RefundState
from temula.domain.payments.ports import ChargeWish, RefundWish
from temula.inbound.payments.stripe import mapping
from temula.inbound.payments.stripe.payloads import Intent, Problem, Refund, Session
from temula.kernel.money import DECIMALS, Money
from temula.kernel.providers import AmountNotAccepted

# https://docs.stripe.com/currencies, read and written down here, not taken from our mapping.
ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
TWO_THOUGH_ISO_HAS_NONE = ["ISK", "UGX"]
IN_TENS = ["BHD", "JOD", "KWD", "OMR", "TND"]
STEPS = {**dict.fromkeys(IN_TENS, 10), "MGA": 100}
TEXT = st.text(min_size=1, max_size=20)
SESSION = Session("cs_1", "open", "unpaid", 5000, "myr", client_reference_id="pat_1")


def in_steps(currency: str) -> st.SearchStrategy[Money]:
    step = STEPS.get(currency, 1)
    return st.integers(1, 99_999_999 // step).map(lambda count: Money(count * step, currency))


monies = st.sampled_from(sorted(DECIMALS)).flatmap(in_steps)


@given(monies)
def test_amount_there_and_back(money: Money) -> None:
    """Our amount, theirs, and ours again are one amount."""
    assert mapping.from_stripe(mapping.to_stripe(money), money.currency.lower()) == money


@pytest.mark.parametrize("currency", sorted(DECIMALS))
def test_amount_as_documented(currency: str) -> None:
    """Stripe is sent the units that its documentation asks for."""
    whole = Money.from_decimal_string("120", currency)
    digits = 0 if currency in ZERO_DECIMAL else 2 if currency in TWO_THOUGH_ISO_HAS_NONE else DECIMALS[currency]
    assert mapping.to_stripe(whole) == 120 * 10**digits


@given(st.sampled_from(sorted(STEPS)), st.integers(0, 10_000), st.integers(1, 9))
def test_amount_between_steps(currency: str, steps: int, odd: int) -> None:
    """An amount that Stripe cannot count to the last digit is refused, never rounded."""
    with pytest.raises(AmountNotAccepted):
        mapping.to_stripe(Money(steps * STEPS[currency] + odd, currency))


@given(st.sampled_from(TWO_THOUGH_ISO_HAS_NONE), st.integers(0, 10_000), st.integers(1, 99))
def test_amount_that_cannot_be(currency: str, whole: int, odd: int) -> None:
    """A fraction of a currency that has none is no amount."""
    with pytest.raises(AmountNotAccepted):
        mapping.from_stripe(whole * 100 + odd, currency)


@given(monies, TEXT, TEXT, TEXT)
def test_charge_there_and_back(money: Money, organization: str, attempt: str, registration: str) -> None:
    """What we wish for comes back in what Stripe then tells of it: whose, which attempt, what amount."""
    at = datetime(2026, 12, 1, 9, 35, tzinfo=UTC)
    wish = ChargeWish(
        organization_id=organization, attempt_id=attempt, registration_id=registration, key="k", money=money,
        description="d", success_url="https://a.test", cancel_url="https://b.test", wanted_at=at, expires_at=at,
    )  # fmt: skip
    sent = mapping.to_session(wish)
    (item,) = sent["line_items"]
    theirs = Session(
        "cs_1", "complete", "paid", item["price_data"]["unit_amount"] * item["quantity"],
        item["price_data"]["currency"], sent["client_reference_id"], "pi_1", None, sent["metadata"],
    )  # fmt: skip
    seen = mapping.seen_session(theirs, "evt_1")
    assert (seen.organization_id, seen.attempt_id, seen.money) == (organization, attempt, money)
    assert (seen.state, dict(seen.refs)) == (PaymentState.SUCCEEDED, {"session": "cs_1", "payment_intent": "pi_1"})
    assert sent["payment_intent_data"] == {"metadata": sent["metadata"]}
    assert sent["expires_at"] == 1796117700


@given(monies, TEXT, TEXT, st.text(max_size=600))
def test_refund_there_and_back(money: Money, organization: str, refund: str, reason: str) -> None:
    """What we wish to give back comes back in what Stripe then tells of it; a long reason is cut to what it takes."""
    wish = RefundWish(
        organization_id=organization, refund_id=refund, key="k", refs={"payment_intent": "pi_1"}, money=money,
        reason=reason,
    )  # fmt: skip
    sent = mapping.to_refund(wish)
    assert all(len(value) <= 500 for value in sent["metadata"].values())
    theirs = Refund("re_1", sent["amount"], money.currency.lower(), "succeeded", "pi_1", sent["metadata"])
    seen = mapping.seen_refund(theirs, "evt_1")
    assert (seen.organization_id, seen.refund_id, seen.money) == (organization, refund, money)
    assert (seen.state, dict(seen.refs)) == (RefundState.SUCCEEDED, {"refund": "re_1", "payment_intent": "pi_1"})


@given(st.none() | TEXT, TEXT)
def test_unknown_session_is_never_final(status: str | None, payment_status: str) -> None:
    """Only what Stripe documents as paid is paid, and only what it documents as expired has ended."""
    theirs = Session("cs_1", status, payment_status, 5000, "myr")
    state = mapping.session_state(theirs)
    assert (state is PaymentState.SUCCEEDED) == (
        status == "complete" and payment_status in ("paid", "no_payment_required")
    )
    assert state in (None, PaymentState.REQUIRES_ACTION, PaymentState.PROCESSING) or status in ("complete", "expired")


@given(st.none() | TEXT)
def test_unknown_refund_is_never_final(status: str | None) -> None:
    """A refund's status that Stripe does not document changes nothing; as an answer it is on its way."""
    theirs = Refund("re_1", 100, "myr", status, "pi_1")
    if status not in mapping.REFUND_STATES:
        assert mapping.seen_refund(theirs, "evt_1").state is None
        assert mapping.to_refund_answer(theirs).state is RefundState.PENDING


def test_decline_has_the_key_of_its_charge() -> None:
    """A refused card is known by its charge, so that its callback and a look at it are one decline."""
    intent = Intent("pi_1", "requires_payment_method", 5000, "myr", {}, Problem("card_declined", "lost_card", "ch_1"))
    assert mapping.seen_decline(intent, "evt_1") == mapping.seen_decline(intent, "evt_2")
    assert mapping.seen_decline(intent, "evt_1").decline == "lost_card"
    assert [one.key for one in mapping.seen_intent(intent, SESSION)] == ["ch_1"]


def test_redirect_only_while_it_is_open() -> None:
    """A buyer is sent to the page only as long as there is one."""
    open_one = Session("cs_1", "open", "unpaid", 5000, "myr", url="https://checkout.stripe.test/c/1")
    gone = Session("cs_1", "expired", "unpaid", 5000, "myr")
    assert mapping.to_answer(open_one).next_action_url == "https://checkout.stripe.test/c/1"
    assert (mapping.to_answer(gone).next_action_kind, mapping.to_answer(gone).next_action_url) == (None, None)
