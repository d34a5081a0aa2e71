"""What a message is: its form, its id, its bytes."""

import json

from conformance.checks.signatures import UNICODE
from conformance.kit import Kit, check, require
from conformance.receiver import status
from conformance.signatures import fits


@check("content.post-json")
async def post_of_json(kit: Kit) -> None:
    """It is a POST of JSON in UTF-8, and says so."""
    endpoint, box = await kit.subscribed()
    await kit.sender.publish(endpoint, UNICODE)
    require(await box.has(1), "the message did not arrive")
    (arrival,) = box.arrivals
    require(arrival.method == "POST", f"the method is {arrival.method}")
    kind = arrival.headers.get("content-type", "")
    require(kind.split(";")[0].strip() == "application/json", f"content-type is {kind!r}")
    require(isinstance(arrival.json, dict), "the body is no JSON object")


@check("content.canonical")
async def canonical_bytes(kit: Kit) -> None:
    """The body is as JSON.stringify(JSON.parse(body)) would write it."""
    endpoint, box = await kit.subscribed()
    await kit.sender.publish(endpoint, UNICODE)
    require(await box.has(1), "the message did not arrive")
    (arrival,) = box.arrivals
    again = json.dumps(arrival.json, ensure_ascii=False, separators=(",", ":")).encode()
    require(again == arrival.body, "written again it is other bytes: who signs the parsed body finds another signature")


@check("content.one-framing")
async def one_framing(kit: Kit) -> None:
    """One of Content-Length and Transfer-Encoding, one Host that is ours, and no header twice."""
    endpoint, box = await kit.subscribed()
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    names = [name.lower() for name, _ in box.arrivals[0].pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"these came twice: {', '.join(twice)}")
    require(("content-length" in names) != ("transfer-encoding" in names), "the framing is ambiguous")
    host = box.arrivals[0].headers.get("host")
    require(host == f"127.0.0.1:{kit.receiver.port}", f"host is {host!r}")


@check("content.no-compression-asked-for")
async def asks_for_no_compression(kit: Kit) -> None:
    """It does not ask for a compressed answer, which could be small on the wire and endless in memory."""
    endpoint, box = await kit.subscribed()
    await kit.sender.publish(endpoint)
    require(await box.has(1), "the message did not arrive")
    asked = box.arrivals[0].headers.get("accept-encoding", "identity")
    require(asked in ("", "identity"), f"accept-encoding is {asked!r}")


@check("content.ids-differ")
async def ids_differ(kit: Kit) -> None:
    """Twenty messages have twenty ids, and each arrives once."""
    endpoint, box = await kit.subscribed()
    for _ in range(20):
        await kit.sender.publish(endpoint)
    require(await box.has(20), f"{len(box.arrivals)} of 20 arrived")
    require(len({one.id for one in box.arrivals}) == 20, "two messages share an id")


@check("content.stable-on-retry", alone=True)
async def stable_on_retry(kit: Kit) -> None:
    """A retry has the same id and the same bytes, so that a receiver can tell that it knows it."""
    endpoint, box = await kit.subscribed(status(500), status(503))
    await kit.sender.publish(endpoint, UNICODE)
    promises = kit.sender.promises
    for number, wait in enumerate(promises.waits[:2], 2):
        require(await box.has(number - 1), f"attempt {number - 1} did not arrive")
        await kit.settled()
        await kit.sender.pass_time(wait * (1 + promises.jitter) + 1)
    require(await box.has(3), "there were no two retries")
    require(len({one.id for one in box.arrivals}) == 1, "the id changed")
    require(len({one.body for one in box.arrivals}) == 1, "the bytes changed")


@check("content.fan-out")
async def fan_out(kit: Kit) -> None:
    """Two endpoints of one message both get it, with the same id, each signed by its own secret."""
    first = await kit.subscribed()
    second = await kit.shared(first.endpoint)
    await kit.sender.publish(first.endpoint)
    for endpoint, box in (first, second):
        require(await box.has(1), "one of the two did not arrive")
        require(fits(endpoint.secret, box.arrivals[0].headers, box.arrivals[0].body), "its secret does not fit")
    require(first.box.arrivals[0].id == second.box.arrivals[0].id, "the same message has two ids")


@check("content.new-endpoint")
async def new_endpoints_hear_at_once(kit: Kit) -> None:
    """A message published right after the endpoint was made goes to it."""
    for _ in range(5):
        endpoint, box = await kit.subscribed()
        await kit.sender.publish(endpoint)
        require(await box.has(1, 5), "it did not arrive within five seconds")
