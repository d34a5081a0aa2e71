"""A message's bytes: those of `JSON.stringify(JSON.parse(body))`, whole, thin and masked."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from temula.kernel.stringify import stringify
from temula.outbound.webhooks.model import envelope, maskable, reshapes, shaped

# As many as are asked for: CI runs the 10,000 of the promise (TEMULA_TEST_PAYLOADS=10000), `make test` fewer.
PAYLOADS = int(os.environ.get("TEMULA_TEST_PAYLOADS", "1000"))
SCRIPT = """
const read = require("readline").createInterface({ input: process.stdin });
read.on("line", (line) => {
  const body = Buffer.from(line, "base64").toString("utf8");
  console.log(Buffer.from(JSON.stringify(JSON.parse(body)), "utf8").toString("base64"));
});
"""
AT = datetime(2026, 11, 23, 10, 15, 0, 123456, tzinfo=UTC)


class Wanted(NamedTuple):
    """A shape."""

    payload: str = "fat"
    mask: tuple[str, ...] = ()


class Node:
    """A process of Node.js that gives every body back as it writes it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def written(self, body: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(body) + b"\n")
        self._process.stdin.flush()
        return base64.b64decode(self._process.stdout.readline())


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js on this machine")
    with subprocess.Popen(["node", "-e", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Node(process)
        process.terminate()


NAMES = st.from_regex("[a-z_]{1,8}", fullmatch=True) | st.integers(0, 2**33).map(str) | st.text(max_size=5)
NUMBERS = st.integers() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
DATA = st.dictionaries(NAMES, VALUES, max_size=5)


def body_of(shape: Wanted, data: dict[str, Any], team: str | None = None) -> bytes:
    return shaped(shape, "msg_x", "check_in.completed", AT, "org_x", team, stringify(data))


@settings(max_examples=PAYLOADS, suppress_health_check=list(HealthCheck))
@given(DATA, st.none() | st.text(), st.sampled_from(["fat", "thin"]), st.lists(NAMES, max_size=3))
def test_the_bytes_are_those_of_javascript(
    node: Node, data: dict[str, Any], team: str | None, payload: str, names: list[str]
) -> None:
    """Unicode, escapes, any numbers, any keys, any nesting, in every shape: who parses first verifies too."""
    body = body_of(Wanted(payload, tuple(f"data.{name}" for name in names)), data, team)
    assert node.written(body) == body
    assert body.startswith(
        b'{"event_id":"msg_x","event_type":"check_in.completed","timestamp":"2026-11-23T10:15:00.123Z",'
    )
    assert list(json.loads(body)) == ["event_id", "event_type", "timestamp", "organization_id", "team_id", "data"]


@given(DATA)
def test_a_whole_message_says_what_was_told(data: dict[str, Any]) -> None:
    """Nothing is lost that JavaScript can hold: doubles stay the same doubles, texts the same texts."""

    def held(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return float(value)

    def deep(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: deep(inner) for name, inner in value.items()}
        return [deep(inner) for inner in value] if isinstance(value, list) else held(value)

    assert deep(json.loads(body_of(Wanted(), data))["data"]) == deep(data)


def test_thin_is_ids_only() -> None:
    """Ids stay, and the mark of a test; whatever else the message says is fetched."""
    data = {"event_id": "evt_1", "attendee_ids": ["att_1"], "location": "Gate A", "test": True, "changes": {"id": 1}}
    assert json.loads(body_of(Wanted("thin"), data))["data"] == {
        "event_id": "evt_1", "attendee_ids": ["att_1"], "test": True,
    }  # fmt: skip


def test_masked_paths_are_gone() -> None:
    """At any depth, in each item of an array; a path that leads nowhere changes nothing."""
    data = {"name": "A", "list": [{"name": "B", "n": 1}, {"n": 2}, 3], "deep": {"er": {"x": 1, "y": 2}}, "kept": 1.5}
    mask = ("data.name", "data.list.name", "data.deep.er.x", "data.none", "data.kept.x", "data.deep.er.y.z")
    expected = {"list": [{"n": 1}, {"n": 2}, 3], "deep": {"er": {"y": 2}}, "kept": 1.5}
    body = body_of(Wanted("fat", mask), data)
    assert json.loads(body)["data"] == expected
    assert json.loads(body_of(Wanted("thin", ("data.event_id",)), {"event_id": "x", "team_id": "y"}))["data"] == {
        "team_id": "y"
    }


def test_a_whole_message_is_the_stored_bytes() -> None:
    """What needs no other shape is not decoded: the data stands in it byte for byte."""
    data = b'{"amount":5000,"text":"\\u001f"}'
    assert not reshapes(Wanted())
    assert reshapes(Wanted("thin"))
    assert reshapes(Wanted("fat", ("data.x",)))
    whole = shaped(Wanted(), "msg_x", "t", AT, "org_x", None, data)
    assert whole == envelope("msg_x", "t", AT, "org_x", None, data)
    assert whole.endswith(b'"data":' + data + b"}")


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("data.location", True), ("data.a.b.c.d.e.f.g.h", True), ("data.a.b.c.d.e.f.g.h.i", False), ("data", False),
        ("data.", False), ("data..a", False), ("event_id", False), ("team_id", False), ("data." + "x" * 196, False),
    ],
)  # fmt: skip
def test_what_can_be_masked(path: str, fits: bool) -> None:
    """Fields of `data` only: what a message is, and whose, always stays."""
    assert maskable(path) == fits


def test_a_struct_is_written_as_its_fields() -> None:
    """Facts are structs: their doubles and large numbers are written as those of dictionaries are."""

    class Said(msgspec.Struct):
        share: float
        many: int
        unlimited: float

    assert stringify(Said(2.0, 10**22, float("inf"))) == b'{"share":2,"many":1e+22,"unlimited":null}'
