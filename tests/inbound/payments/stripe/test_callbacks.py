"""Stripe's callbacks: each kind that we ask for is read, and the official library agrees on what is genuine."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from temula.domain.payments.model import PaymentObservation, PaymentState, RefundObservation, RefundState
from temula.inbound.payments.stripe import callbacks
from temula.inbound.payments.stripe.manifest import MANIFEST
from temula.kernel.money import Money

FOLDER = Path(__file__).parent / "callbacks"
SECRET = "whsec_0123456789abcdef"
NOW = datetime.now(UTC)
PAID, HALF = Money(5000, "MYR"), Money(1000, "MYR")
EXPECTED = {
    "checkout.session.completed": (PaymentState.SUCCEEDED, PAID, None),
    "checkout.session.async_payment_succeeded": (PaymentState.SUCCEEDED, PAID, None),
    "checkout.session.async_payment_failed": (PaymentState.FAILED, PAID, "async_payment_failed"),
    "checkout.session.expired": (PaymentState.EXPIRED, PAID, None),
    "payment_intent.payment_failed": (None, PAID, "generic_decline"),
    "refund.created": (RefundState.PENDING, HALF, None),
    "refund.updated": (RefundState.FAILED, HALF, "expired_or_canceled_card"),
    "refund.failed": (RefundState.FAILED, HALF, "expired_or_canceled_card"),
}


def body_of(kind: str) -> bytes:
    return (FOLDER / f"{kind}.json").read_bytes()


def signed(body: bytes, at: datetime = NOW, secret: str = SECRET) -> str:
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, int(at.timestamp()))


def ours(body: bytes, header: str, now: datetime = NOW) -> bool:
    return callbacks.is_genuine(body, {"stripe-signature": header}, {"webhook_secret": SECRET}, now)


def theirs(body: bytes, header: str) -> bool:
    # The library reads the system's clock, and a run takes longer than its tolerance: what has passed since is added.
    since = int((datetime.now(UTC) - NOW).total_seconds()) + 1
    try:
        stripe.Webhook.construct_event(body, header, SECRET, tolerance=callbacks.TOLERANCE + since)
    except Exception:  # noqa: BLE001 - the library raises what it likes; any of it is a refusal
        return False
    return True


def test_every_kind_asked_for_has_its_case() -> None:
    """There is a recorded callback for each kind that the manifest asks Stripe for."""
    assert set(MANIFEST.callbacks) == set(EXPECTED) == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_read(kind: str) -> None:
    """Each kind is read into one observation, with whose it is, its amount, and what it says."""
    body = body_of(kind)
    (seen,) = callbacks.parse(body)
    state, money, said = EXPECTED[kind]
    assert (seen.state, seen.money) == (state, money)
    assert seen.organization_id is not None
    if isinstance(seen, PaymentObservation):
        assert seen.decline == said
        assert seen.attempt_id == "pat_01kb0m0000e00r0000000000a2"
        assert set(seen.refs) <= {"session", "payment_intent"}
    else:
        assert isinstance(seen, RefundObservation)
        assert seen.failure == said
        assert seen.refund_id == "ref_01kb0m0000e00r0000000000a4"
        assert set(seen.refs) == {"refund", "payment_intent"}
    assert callbacks.callback_id(body).startswith("evt_")
    assert callbacks.mode(body) == "sandbox"
    assert callbacks.mode(body.replace(b'"livemode": false', b'"livemode": true')) == "live"


def test_nothing_to_us() -> None:
    """A kind that we did not ask for is read into nothing, whatever it is about."""
    event = json.loads(body_of("refund.created")) | {"type": "payout.paid", "data": {"object": {"id": "po_1"}}}
    assert callbacks.parse(json.dumps(event).encode()) == []


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_library_agrees_on_genuine(kind: str) -> None:
    """What the official library signed and verifies is genuine to us; with one byte more it is to neither."""
    body = body_of(kind)
    assert ours(body, signed(body))
    assert theirs(body, signed(body))
    assert not ours(body + b" ", signed(body))
    assert not theirs(body + b" ", signed(body))


@given(st.data())
def test_library_agrees_on_anything(data: st.DataObject) -> None:
    """Nothing is genuine to us that the official library refuses, however header and body are bent."""
    body = body_of("refund.created")
    header = signed(body)
    pieces = st.sampled_from(
        [
            header,
            *header.split(","),
            "v1=",
            "t=",
            ",",
            "v0=00",
            f"t={int(NOW.timestamp())}",
            "é",
            " ",
            "t=²",
            "v1=\u0660",
        ]
    )
    bent = ",".join(data.draw(st.lists(pieces, max_size=5)))
    bodies = data.draw(st.sampled_from([body, b"", body[:-1], b"\xff" + body, body.replace(b"1000", b"9000")]))
    if ours(bodies, bent):
        assert theirs(bodies, bent)


def test_times() -> None:
    """Five minutes either way count. (The official library also takes any time that is still to come.)"""
    body = body_of("refund.created")
    for seconds, counts in ((0, True), (299, True), (-299, True), (302, False), (-302, False)):
        assert ours(body, signed(body, NOW + timedelta(seconds=seconds))) is counts
    tomorrow = signed(body, NOW + timedelta(days=1))
    assert theirs(body, tomorrow)
    assert not ours(body, tomorrow)


def test_two_secrets() -> None:
    """While the endpoint's secret is rolled, Stripe signs with both, and either of ours is enough."""
    body = body_of("refund.created")
    both = f"{signed(body, secret='whsec_old')},{signed(body, secret='whsec_new').partition(',')[2]}"
    for held in ("whsec_old", "whsec_new", "whsec_new, whsec_old", "whsec_other,whsec_old"):
        assert callbacks.is_genuine(body, {"stripe-signature": both}, {"webhook_secret": held}, NOW)
    assert not callbacks.is_genuine(body, {"stripe-signature": both}, {"webhook_secret": "whsec_other"}, NOW)
