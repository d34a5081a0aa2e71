"""Poison: bodies that no parser likes are refused as what they are, and no process ends of them."""

import json

from tests.chaos.site import Site, again, all_arrived
from tests.harness.receiver import Receiver

DEEP = 10_000
EVENT = {"name": "N", "starts_at": "2027-05-01T12:00:00Z", "ends_at": "2027-05-01T13:00:00Z", "currency": "MYR"}


def with_name(name: str) -> bytes:
    """An event whose name is these characters of JSON."""
    return json.dumps({**EVENT, "name": "@"}).replace('"@"', name).encode()


POISON = {
    "a NUL": with_name('"a\\u0000b"'),
    "a raw NUL": with_name('"a\0b"'),
    "a lone surrogate": with_name('"\\ud800"'),
    "bytes that are no UTF-8": with_name('"@@"').replace(b"@@", b"\xff\xfe"),
    "far too much": with_name(json.dumps("x" * 1_000_000)),
    "deep lists": with_name("[" * DEEP + "]" * DEEP),
    "deep objects": with_name('{"a":' * DEEP + "1" + "}" * DEEP),
    "NaN": with_name("NaN"),
    "infinity": with_name("-Infinity"),
    "a huge number": with_name("1" + "0" * 400),
    "a huge exponent": with_name("1e400"),
    "nothing": b"",
    "half": with_name('"N"')[:-9],
    "not an object": b"[]",
}


async def test_poison_is_refused(site: Site, hooks: Receiver) -> None:
    """At each door that takes JSON: a 4xx that says why; what is told meanwhile arrives, from the same processes."""
    worker, program, base_url = await site.worker(), *await site.api()
    del program, base_url
    doors = [("POST", "/events"), ("POST", "/registrations"), ("POST", "/webhooks/endpoints"), ("POST", "/check-ins")]
    for name, body in POISON.items():
        for method, path in doors:
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"{name}-{path}"}
            answer = await site.tenant.api.call(method, path, raw=body, headers=headers)
            assert 400 <= answer.status < 500, (name, path, answer)
            assert answer.code, (name, path)
        await site.tell(1)
    arrived = await all_arrived(site, hooks)
    assert (len(arrived), again(arrived)) == (len(POISON), 0)
    assert worker.process.returncode is None
