"""The stand-in's keys: who may speak, and how a request that is sent twice is done once."""

import asyncio

import pytest
import stripe


async def test_replayed(client, basket):
    """The same key and parameters give the same session, marked as replayed."""
    first = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    again = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len((await client.v1.checkout.sessions.list_async()).data) == 1


async def test_replay_is_the_first_answer(client, buyer, basket):
    """A replay is the answer of then, although the session has been paid since."""
    first = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    await buyer.pay(first)
    again = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert (again.id, again.status) == (first.id, "open")


async def test_other_parameters(client, basket):
    """The same key with other parameters, or for another door, is refused."""
    await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    changed = {**basket, "client_reference_id": "pay_2"}
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        await client.v1.checkout.sessions.create_async(changed, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        await client.v1.customers.create_async({"name": "A"}, {"idempotency_key": "k"})


async def test_of_another_account(client, connect, emulator, basket):
    """A key belongs to one account."""
    first = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    other = connect(emulator, "sk_test_other_1234567890")
    second = await other.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert second.id != first.id


async def test_invalid_not_kept(client, basket):
    """A request that was refused before it began leaves its key free."""
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.checkout.sessions.create_async({**basket, "mode": "x"}, {"idempotency_key": "k"})
    made = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert made.id


async def test_kept_for_a_day(client, clock, basket):
    """After a day a key is new again."""
    first = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    clock.move(24 * 3600 + 1)
    second = await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k"})
    assert second.id != first.id


async def test_in_use(client, buyer, basket):
    """While a request is under way, another with its key is told so, and is not kept."""
    await buyer.order("slow", seconds=0.3)
    options = {"idempotency_key": "k"}
    slow = asyncio.create_task(client.v1.checkout.sessions.create_async(basket, options))
    while (await buyer.control("GET", "faults"))["faults"]:
        pass
    with pytest.raises(stripe.StripeError) as refused:
        await client.v1.checkout.sessions.create_async(basket, options)
    assert refused.value.http_status == 409
    assert refused.value.json_body["error"]["code"] == "idempotency_key_in_use"
    first = await slow
    assert (await client.v1.checkout.sessions.create_async(basket, options)).id == first.id


async def test_long_key(client, basket):
    """A key has at most 255 characters."""
    with pytest.raises(stripe.IdempotencyError):
        await client.v1.checkout.sessions.create_async(basket, {"idempotency_key": "k" * 256})


@pytest.mark.parametrize("key", ["sk_live_1234567890", "pk_test_1234567890", "nonsense", "sk_test_"])
async def test_key_refused(connect, emulator, key):
    """Only secret and restricted test keys are let in: this is a sandbox."""
    with pytest.raises(stripe.AuthenticationError) as refused:
        await connect(emulator, key).v1.balance.retrieve_async()
    assert refused.value.http_status == 401


async def test_unknown_door(client, connect, emulator, browser):
    """A path that is not served is 404 in Stripe's shape, and 401 without a key."""
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.raw_request_async("get", "/v1/payouts")
    assert refused.value.http_status == 404
    async with browser.get(f"{emulator.base_url}/v1/payouts") as answer:
        assert answer.status == 401
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("header", [{"Stripe-Version": "2020-08-27"}, {"Stripe-Account": "acct_1"}])
async def test_other_version(emulator, browser, header):
    """Another API version, or Connect, is refused rather than answered in the wrong shape."""
    headers = {"Authorization": "Bearer sk_test_1234567890", **header}
    async with browser.get(f"{emulator.base_url}/v1/balance", headers=headers) as answer:
        assert (await answer.json())["error"]["code"] == "emulator_unsupported"


@pytest.mark.parametrize(
    "form", ["amount=5&currency[", "amount[a]=1&amount=2", "a[b][c][d][e][f][g][h][i]=1", "amount=%ff", "metadata=x"]
)
async def test_bad_form(emulator, browser, form):
    """A body that cannot be read as Stripe's form encoding is refused in Stripe's shape."""
    headers = {"Authorization": "Bearer sk_test_1234567890", "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{emulator.base_url}/v1/payment_intents"
    async with browser.post(url, data=form.encode(), headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"
