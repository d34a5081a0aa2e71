"""What does not add up is never paid: other amounts, second payments, currencies that count in other units."""

from datetime import timedelta
from typing import Any

import pytest

from temula.domain.connections import service as connections
from temula.domain.payments import service as payments
from temula.domain.payments.model import PaymentObservation, PaymentState
from temula.kernel.clock import rfc3339
from temula.kernel.money import Money
from tests.flows.money.conftest import Shop
from tests.harness.house import Sale, until


async def sale_in(shop: Shop, currency: str, price: int) -> Shop:
    """The shop with an event that is sold in another currency."""
    api, starts = shop.tenant.api, shop.temula.house.database.clock.now() + timedelta(days=30)
    at = {"starts_at": rfc3339(starts), "ends_at": rfc3339(starts), "timezone": "UTC", "venue": "Hall"}
    event = await api.post("/events", {"name": "Abroad", "currency": currency, **at})
    kind = await api.post(f"/events/{event['id']}/ticket-types", {"name": "Seat", "price": price, "quota": 9})
    await api.post(f"/events/{event['id']}/publish")
    return shop._replace(sale=Sale(event, [kind], {}))


async def observed(shop: Shop, attempt: dict[str, Any], money: Money) -> None:
    """Stripe lets us see that an attempt was paid, with an amount."""
    house, actor = shop.temula.house, shop.tenant.actor
    connection = await connections.resolve(house.database, actor, "payments")
    seen = PaymentObservation(
        key="test", refs={"payment_intent": f"pi_{attempt['id']}"}, attempt_id=attempt["id"],
        organization_id=shop.tenant.id, state=PaymentState.SUCCEEDED, money=money, reference="pi_test",
    )  # fmt: skip
    await house.database.run(actor, lambda uow: payments.see(uow, connection, seen))


@pytest.mark.parametrize(
    ("currency", "price", "theirs"), [("JPY", 5000, 5000), ("KWD", 12340, 12340), ("ISK", 70, 7000)]
)
async def test_other_currencies(shop: Shop, currency: str, price: int, theirs: int) -> None:
    """With no or three decimals the amount survives from the ticket through Stripe to the webhook and back again."""
    abroad = await sale_in(shop, currency, price)
    made = await abroad.confirmed()
    (told,) = await abroad.told("payment.succeeded", made)
    assert (told["amount"], told["currency"]) == (price, currency)
    assert await abroad.captured() == [theirs]
    assert (await abroad.refund(made))["amount"] == price
    (refunded,) = await abroad.told("registration.refunded", made)
    assert (refunded["amount"], refunded["currency"]) == (price, currency)
    assert await abroad.given_back() == [theirs]


async def test_amount_that_stripe_does_not_take(shop: Shop) -> None:
    """An amount that Stripe cannot count is refused with the reason, and nothing is opened there."""
    abroad = await sale_in(shop, "KWD", 12345)
    made = await abroad.register()
    assert made["payment"]["state"] == "failed"
    (told,) = await abroad.told("payment.failed", made)
    assert told["reason"] == "provider_amount"
    assert await abroad.sessions() == 0


@pytest.mark.parametrize("money", [Money(4999, "MYR"), Money(5001, "MYR"), Money(5000, "JPY")], ids=str)
async def test_another_amount(shop: Shop, money: Money) -> None:
    """Paid with another amount or currency it needs a person: nothing is confirmed, and both amounts are named."""
    made = await shop.register()
    await observed(shop, made["payment"]["attempts"][0], money)
    payment = await shop.payment(made)
    assert (payment["state"], payment["captured"], payment["transactions"]) == ("needs_review", 0, [])
    assert payment["attempts"][0]["failure"] == f"paid {money} where MYR 50.00 was owed"
    assert (await shop.look(made))["state"] == "pending"
    await shop.temula.pay(made)
    await shop.becomes(made, "confirmed")


async def test_paid_twice(shop: Shop) -> None:
    """When two attempts were paid, the second needs a person; one success is told and one amount is captured."""
    await shop.temula.fault("server-error", shop.tenant, path="/v1/checkout")
    made = await shop.register()
    await shop.temula.hurry(shop.tenant, "payments.ask_charge")

    async def failed() -> bool:
        return (await shop.look(made))["payment"]["state"] == "failed"

    await until(failed)
    await shop.temula.pay(await shop.tenant.api.post(f"/registrations/{made['id']}/pay", {}))
    await shop.becomes(made, "confirmed")
    for _ in range(2):
        await observed(shop, made["payment"]["attempts"][0], Money(5000, "MYR"))
    payment = await shop.payment(made)
    assert (payment["state"], payment["captured"]) == ("succeeded", 5000)
    states = [(one["state"], one["failure"]) for one in payment["attempts"]]
    assert states == [("needs_review", "paid twice"), ("succeeded", None)]
    assert len(await shop.told("payment.succeeded", made)) == 1
