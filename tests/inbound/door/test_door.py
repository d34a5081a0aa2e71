"""The door: genuine callbacks are stored once, as they came, and answered; anything else leaves no trace."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest

from temula.domain.connections import service as connections
from tests.harness.house import until
from tests.inbound.door.conftest import Callee, event


async def test_taken_as_it_came(callee: Callee) -> None:
    """The raw bytes are kept as they came, with no signature among their headers, and the answer says received."""
    body = event() + b" \n"
    answer = await callee.call(body, headers={"User-Agent": "Stripe/1.0", "X-Other": "1"})
    assert (answer.status, answer.json) == (200, {"received": True, "repeated": False})
    (stored,) = await callee.stored()
    assert (stored.body, stored.dedupe_key) == (body, json.loads(body)["id"])
    assert json.loads(stored.headers) == {"content-type": "application/json", "user-agent": "Stripe/1.0"}
    assert stored.organization_id == callee.tenant.id


async def test_repeated(callee: Callee) -> None:
    """A repeat, signed anew, is answered 200 and changes nothing; also twenty at the same time."""
    body = event()
    answers = await asyncio.gather(*(callee.call(body) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert sorted(answer.json["repeated"] for answer in answers) == [False] + [True] * 19
    assert len(await callee.stored()) == 1


async def test_of_no_use_to_us(callee: Callee) -> None:
    """An event of a kind that we do not act on is stored and ignored."""
    await callee.call(event("payout.paid"))

    async def ignored() -> bool:
        return [one.state for one in await callee.stored()] == ["ignored"]

    await until(ignored)


@pytest.mark.parametrize(
    "path",
    [
        "/in/payments/stripe/sandbox/{wrong}",
        "/in/payments/stripe/live/{token}",
        "/in/payments/paypal/sandbox/{token}",
        "/in/email/stripe/sandbox/{token}",
        "/in/payments/stripe/sandbox/{token}/more",
        "/in/payments/stripe/sandbox/",
    ],
)
async def test_nobody_is_expected_there(callee: Callee, path: str) -> None:
    """An unknown token, or a known one under another provider or mode, is 404 and tells nothing else."""
    token = callee.path.rpartition("/")[2]
    answer = await callee.call(event(), path="/" + path.format(token=token, wrong="x" * len(token)))
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert callee.tenant.id not in answer.body.decode()
    assert await callee.stored() == []


@pytest.mark.parametrize(
    "spoil",
    ["no signature", "another secret", "another body", "another tenant's", "not ASCII", "live", "old"],
)
async def test_not_genuine(callee: Callee, spoil: str) -> None:
    """What the connection's provider did not sign, just now and for this mode, is a 4xx and leaves no trace."""
    body = event(livemode=True) if spoil == "live" else event()
    genuine = callee.sign(body)
    signature = {
        "no signature": "-",
        "another secret": callee.sign(body, "whsec_of_a_stranger"),
        "another body": callee.sign(body + b" "),
        "another tenant's": callee.sign(body, "whsec_of_another_tenant"),
        "not ASCII": genuine + "\u00e9",
        "old": genuine.replace("t=", "t=1"),
    }.get(spoil, genuine)
    answer = await callee.call(body, signature=signature)
    assert (answer.status, answer.code) == (422, "callback_rejected")
    assert "secret" not in answer.json["detail"]
    assert await callee.stored() == []


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b'{"id": 7}', b"{}", b"\xff\xfe\x00", b'{"id": "\xc3"}'])
async def test_wrong_content(callee: Callee, body: bytes) -> None:
    """A body that is signed and yet no event is a 4xx problem, never a crash, and leaves no trace."""
    answer = await callee.call(body)
    assert (answer.status, answer.code) == (422, "callback_rejected")
    assert await callee.stored() == []


async def test_too_large_is_not_read(callee: Callee) -> None:
    """A body that says it is too large is refused before any of it came; one that grows too large, while it comes."""
    where = urlsplit(callee.temula.base_url)
    for length in ("Content-Length: 500000000", "Transfer-Encoding: chunked"):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        head = f"POST {callee.path} HTTP/1.1\r\nHost: localhost\r\nStripe-Signature: t=1,v1=0\r\n{length}\r\n\r\n"
        writer.write(head.encode())
        sent, ended = 0, asyncio.create_task(reader.read(65536))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        while "chunked" in length and not ended.done() and sent < 64 * 1024 * 1024:
            writer.write(chunk)
            sent += len(chunk)
            await asyncio.wait([asyncio.ensure_future(writer.drain()), asyncio.ensure_future(asyncio.sleep(0))])
        answer = await asyncio.wait_for(ended, 10)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in answer
        assert sent < 16 * 1024 * 1024
        writer.close()
    assert await callee.stored() == []


async def test_of_something_unknown_is_parked(callee: Callee) -> None:
    """A callback about something unknown is tried again, parked with the reason at last, and can be tried once more."""
    tenant = callee.tenant
    assert (await callee.call(event())).status == 200

    async def state() -> str:
        (stored,) = await callee.stored()
        return stored.state

    async def waits() -> bool:
        await callee.temula.hurry(tenant, "callbacks.process")
        return await state() == "received"

    assert await until(waits)

    async def parked() -> bool:
        await callee.temula.hurry(tenant, "callbacks.process", last=True)
        return await state() == "parked"

    await until(parked)
    (stored,) = await callee.stored()
    assert "UnknownObject" in (stored.last_error or "")
    async with callee.temula.house.database.crossing("a test looks for dead jobs") as uow:
        assert (
            await uow.value("SELECT count(*) FROM jobs WHERE organization_id = $1 AND state = 'dead'", tenant.id) == 0
        )


async def test_out_of_use_and_still_found(callee: Callee) -> None:
    """A connection that was replaced or disabled takes no new payments, and its callbacks still come in."""
    database = callee.temula.house.database
    async with database.unit(callee.tenant.actor) as uow:
        await connections.disable(uow, callee.connection_id)
    assert (await callee.call(event())).status == 200
    assert len(await callee.stored()) == 1


async def test_secret_rolled(callee: Callee) -> None:
    """While the signing secret is rolled both count; afterwards only the new one, at the same address."""
    house, new = callee.temula.house, "whsec_new"
    for held, old_counts in ((f"{callee.secret},{new}", True), (new, False)):
        async with house.database.unit(callee.tenant.actor) as uow:
            credentials = {"secret_key": callee.tenant.stripe_key, "webhook_secret": held}
            await connections.change(uow, house.ring, callee.connection_id, credentials, "test")
        body = event()
        assert (await callee.call(body)).status == (200 if old_counts else 422)
        assert (await callee.call(body, signature=callee.sign(body, new))).status == 200
