"""Whether a receiver can tell the sender from everybody else."""

from collections.abc import Iterator

from conformance.kit import Kit, Subscribed, check, require
from conformance.receiver import Arrival, status
from conformance.signatures import fits, key_of

UNICODE = 'Aïsyah 王 🎟️ " \\ / \u2028 <&>'


async def _one(kit: Kit, subscribed: Subscribed, text: str = "") -> Arrival:
    before = len(subscribed.box.arrivals)
    await kit.sender.publish(subscribed.endpoint, text)
    require(await subscribed.box.has(before + 1), "the message did not arrive")
    return subscribed.box.arrivals[before]


@check("signature.headers")
async def headers(kit: Kit) -> None:
    """Each request has webhook-id, webhook-timestamp in seconds, and webhook-signature with v1."""
    arrival = await _one(kit, await kit.subscribed())
    require(arrival.id and "." not in arrival.id, f"webhook-id is {arrival.id!r}: not empty, and no full stop in it")
    require(arrival.stamp > 10**9, f"webhook-timestamp is {arrival.headers.get('webhook-timestamp')!r}")
    given = arrival.headers.get("webhook-signature", "")
    require(any(one.startswith("v1,") for one in given.split(" ")), f"webhook-signature is {given!r}")


@check("signature.fits")
async def signature_fits(kit: Kit) -> None:
    """The signature is HMAC-SHA256 of id, time and the raw body under the endpoint's secret."""
    subscribed = await kit.subscribed()
    arrival = await _one(kit, subscribed)
    require(fits(subscribed.endpoint.secret, arrival.headers, arrival.body), "the signature does not fit")


@check("signature.unicode")
async def signature_of_unicode(kit: Kit) -> None:
    """It fits for text in any script, quotes and line separators."""
    subscribed = await kit.subscribed()
    arrival = await _one(kit, subscribed, UNICODE)
    require(fits(subscribed.endpoint.secret, arrival.headers, arrival.body), "the signature does not fit")
    require(any(UNICODE in text for text in _texts(arrival.json)), "the text did not arrive as it was")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


@check("signature.changed-body")
async def changed_body(kit: Kit) -> None:
    """No signature fits a body in which any one byte is another."""
    subscribed = await kit.subscribed()
    arrival = await _one(kit, subscribed)
    for at in range(0, len(arrival.body), max(1, len(arrival.body) // 64)):
        forged = arrival.body[:at] + bytes([arrival.body[at] ^ 1]) + arrival.body[at + 1 :]
        require(not fits(subscribed.endpoint.secret, arrival.headers, forged), f"it fits with byte {at} changed")


@check("signature.covers-id-and-time")
async def id_and_time_are_signed(kit: Kit) -> None:
    """No signature fits another id or another time."""
    subscribed = await kit.subscribed()
    arrival = await _one(kit, subscribed)
    for change in ({"webhook-id": arrival.id + "x"}, {"webhook-timestamp": str(arrival.stamp + 1)}):
        forged = fits(subscribed.endpoint.secret, arrival.headers | change, arrival.body)
        require(not forged, f"it fits with another {next(iter(change))}")


@check("signature.secret-of-its-own")
async def secret_of_its_own(kit: Kit) -> None:
    """Each endpoint has a secret of its own, of 24 to 64 bytes, and another's does not fit."""
    first, second = await kit.subscribed(), await kit.subscribed()
    arrival = await _one(kit, first)
    require(first.endpoint.secret != second.endpoint.secret, "two endpoints have the same secret")
    require(not fits(second.endpoint.secret, arrival.headers, arrival.body), "another endpoint's secret fits")
    length = len(key_of(first.endpoint.secret))
    require(24 <= length <= 64, f"the secret has {length} bytes")


@check("signature.time-of-the-attempt")
async def stamped_with_the_attempt(kit: Kit) -> None:
    """webhook-timestamp is when the attempt was made."""
    arrival = await _one(kit, await kit.subscribed())
    apart = abs(await kit.sender.now() - arrival.stamp)
    require(apart < 30, f"it differs from the sender's time by {apart:.0f} seconds")


@check("signature.retry-is-stamped-anew", alone=True)
async def retries_are_stamped_anew(kit: Kit) -> None:
    """A retry has its own time and a fitting signature: receivers refuse what is older than five minutes."""
    subscribed = await kit.subscribed(status(500))
    first = await _one(kit, subscribed)
    await kit.settled()
    await kit.sender.pass_time(_longest(kit))
    require(await subscribed.box.has(2), "there was no retry")
    second = subscribed.box.arrivals[1]
    require(second.stamp > first.stamp, "the retry has the time of the first attempt")
    require(fits(subscribed.endpoint.secret, second.headers, second.body), "the retry's signature does not fit")


@check("rotation.both-sign")
async def both_sign_while_rotating(kit: Kit) -> None:
    """While a secret is being rotated a receiver with the new one and one with the previous one both verify."""
    subscribed = await kit.subscribed()
    new = await kit.sender.rotate(subscribed.endpoint)
    require(new.secret != subscribed.endpoint.secret, "the secret is the same")
    arrival = await _one(kit, subscribed)
    require(fits(new.secret, arrival.headers, arrival.body), "the new secret does not fit")
    require(fits(subscribed.endpoint.secret, arrival.headers, arrival.body), "the previous secret does not fit")


@check("rotation.ends", alone=True)
async def the_overlap_ends(kit: Kit) -> None:
    """When the overlap is over the previous secret signs no more."""
    subscribed = await kit.subscribed()
    new = await kit.sender.rotate(subscribed.endpoint)
    await kit.sender.pass_time(kit.sender.promises.overlap + 1)
    arrival = await _one(kit, subscribed)
    require(fits(new.secret, arrival.headers, arrival.body), "the new secret does not fit")
    require(not fits(subscribed.endpoint.secret, arrival.headers, arrival.body), "the previous secret still fits")


def _longest(kit: Kit) -> float:
    promises = kit.sender.promises
    return promises.waits[0] * (1 + promises.jitter) + 1
