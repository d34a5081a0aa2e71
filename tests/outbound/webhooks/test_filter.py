"""Filters on a message: what each operator says, what is refused, and that none can fail when it is asked."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.outbound.webhooks.model import FilterRefused, compiled, parse

MESSAGE = {
    "event_type": "payment.succeeded",
    "team_id": None,
    "data": {
        "amount": 5000, "share": 0.5, "currency": "MYR", "paid": True, "at": "2026-11-23T10:15:00.123Z", "none": None,
        "attendee_ids": ["att_1", "att_2"], "changes": {"name": {"to": "Night 2"}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "asked", "answer"),
    [
        ("data.amount", {"eq": 5000}, True), ("data.amount", {"eq": 5000.0}, True),
        ("data.amount", {"eq": "5000"}, False),
        ("data.paid", {"eq": True}, True), ("data.paid", {"eq": 1}, False), ("data.none", {"eq": None}, True),
        ("data.nothing", {"eq": None}, False), ("data.nothing", {"ne": "x"}, True),
        ("data.currency", {"ne": "MYR"}, False),
        ("data.amount", {"gt": 4999}, True), ("data.amount", {"gt": 5000}, False), ("data.amount", {"gte": 5000}, True),
        ("data.amount", {"lt": 5000}, False), ("data.amount", {"lte": 5000}, True), ("data.share", {"lt": 1}, True),
        ("data.amount", {"gte": 1, "lt": 100}, False), ("data.amount", {"gte": 1, "lt": 10_000}, True),
        ("data.at", {"gte": "2026-11-23T00:00:00.000Z"}, True), ("data.at", {"lt": "2026-11-23T00:00:00.000Z"}, False),
        ("data.amount", {"gt": "1"}, False), ("data.currency", {"gt": 1}, False), ("data.paid", {"gte": 0}, False),
        ("data.nothing", {"lt": 1}, False), ("data.currency", {"in": ["SGD", "MYR"]}, True),
        ("data.paid", {"in": [1, "x"]}, False), ("data.nothing", {"in": [None]}, False),
        ("data.none", {"exists": True}, True), ("data.nothing", {"exists": False}, True),
        ("data.amount.x", {"exists": True}, False), ("data.attendee_ids.1", {"eq": "att_2"}, True),
        ("data.attendee_ids.2", {"exists": True}, False), ("data.attendee_ids.x", {"exists": True}, False),
        ("data.attendee_ids.²", {"exists": True}, False), ("data.changes.name.to", {"eq": "Night 2"}, True),
        ("event_type", {"in": ["payment.succeeded"]}, True), ("data.changes", {"eq": "x"}, False),
    ],
)  # fmt: skip
def test_what_an_operator_says(path: str, asked: dict[str, Any], answer: bool) -> None:
    """Each of the table of docs/reference/webhook-filters.md, of each kind of value."""
    condition = {"path": path, **asked}
    assert parse(condition).holds(MESSAGE) is answer
    assert parse({"not": condition}).holds(MESSAGE) is not answer
    assert compiled(msgspec.json.encode(condition)).holds(MESSAGE) is answer


TRUE, FALSE = {"path": "data.amount", "eq": 5000}, {"path": "data.amount", "eq": 1}


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ({"and": [TRUE, TRUE]}, True), ({"and": [TRUE, FALSE]}, False), ({"or": [FALSE, TRUE]}, True),
        ({"or": [FALSE, FALSE]}, False), ({"not": {"or": [FALSE, {"and": [TRUE, FALSE]}]}}, True),
    ],
)  # fmt: skip
def test_conditions_are_joined(condition: dict[str, Any], answer: bool) -> None:
    """All of them, one of them, none of it."""
    assert parse(condition).holds(MESSAGE) is answer


def deep(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = TRUE
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("expression", "pointer"),
    [
        ({}, ""), ([], ""), ("x", ""), (None, ""), ({"and": []}, "/and"), ({"and": TRUE}, "/and"),
        ({"or": [1]}, "/or/0"),
        ({"xor": [TRUE]}, ""), ({"and": [TRUE], "or": [TRUE]}, ""), ({"not": [TRUE]}, "/not"), ({"path": "data.x"}, ""),
        ({"path": "", "eq": 1}, "/path"), ({"path": "data..x", "eq": 1}, "/path"), ({"path": 1, "eq": 1}, "/path"),
        ({"path": ".".join("x" * 9), "eq": 1}, "/path"), ({"path": "x" * 501, "eq": 1}, "/path"),
        ({"path": "data.x", "like": "a"}, ""), ({"path": "data.x", "eq": [1]}, "/eq"),
        ({"path": "data.x", "eq": {"a": 1}}, "/eq"), ({"path": "data.x", "gt": True}, "/gt"),
        ({"path": "data.x", "lt": None}, "/lt"), ({"path": "data.x", "in": "x"}, "/in"),
        ({"path": "data.x", "in": []}, "/in"),
        ({"path": "data.x", "in": [1] * 101}, "/in"), ({"path": "data.x", "in": [1, [2]]}, "/in/1"),
        ({"path": "data.x", "exists": 1}, "/exists"), ({"path": "data.x", "eq": "x" * 501}, "/eq"),
        ({"path": "data.x", "gt": "x" * 501}, "/gt"), ({"and": [TRUE, {"not": {"path": "data.x"}}]}, "/and/1/not"),
        (deep(9), "/not" * 8), ({"and": [TRUE] * 64}, "/and/63"),
        ({"or": [{"path": "data.x", "in": ["y" * 400] * 21}]}, ""),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(expression: object, pointer: str) -> None:
    """With the place of what is wrong; nothing is guessed, and nothing is larger than the bounds."""
    with pytest.raises(FilterRefused) as refused:
        parse(expression)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize("expression", [deep(8), {"and": [TRUE] * 63}])
def test_the_bounds_themselves_are_allowed(expression: dict[str, Any]) -> None:
    """Eight levels, and 64 conditions with the one that joins them."""
    assert parse(expression).holds(MESSAGE) in (True, False)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc01"), inner), max_leaves=6
)
PATHS = st.lists(st.sampled_from("abc01"), min_size=1, max_size=3).map(".".join)
PROBES = st.one_of(
    st.builds(lambda path, name, value: {"path": path, name: value}, PATHS, st.sampled_from(["eq", "ne"]), SCALARS),
    st.builds(
        lambda path, name, value: {"path": path, name: value},
        PATHS, st.sampled_from(["gt", "gte", "lt", "lte"]), st.integers() | st.text(max_size=5),
    ),
    st.builds(lambda path, values: {"path": path, "in": values}, PATHS, st.lists(SCALARS, min_size=1, max_size=3)),
    st.builds(lambda path, there: {"path": path, "exists": there}, PATHS, st.booleans()),
)  # fmt: skip


def readable(condition: dict[str, Any]) -> bool:
    """Within the bounds."""
    with suppress(FilterRefused):
        parse(condition)
        return True
    return False


CONDITIONS = st.recursive(
    PROBES,
    lambda inner: st.one_of(
        st.builds(lambda some: {"and": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda some: {"or": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"not": one}, inner),
    ),
    max_leaves=5,
)


@given(CONDITIONS.filter(readable), JSON)
def test_every_filter_answers_for_every_message(condition: dict[str, Any], message: Any) -> None:
    """Whatever the message holds where the path leads, the answer is yes or no, the same for the stored filter."""
    answer = parse(condition).holds(message)
    assert answer in (True, False)
    assert compiled(msgspec.json.encode(condition)).holds(message) is answer


@given(PROBES, PROBES, JSON)
def test_de_morgan(one: dict[str, Any], two: dict[str, Any], message: Any) -> None:
    """Not (this and that) is (not this) or (not that)."""
    left = parse({"not": {"and": [one, two]}})
    right = parse({"or": [{"not": one}, {"not": two}]})
    assert left.holds(message) is right.holds(message)


@given(JSON)
def test_anything_is_a_filter_or_refused(expression: Any) -> None:
    """No expression makes the reader itself fail."""
    answers: set[bool] = set()
    with suppress(FilterRefused):
        answers.add(parse(expression).holds({}))
    assert answers <= {True, False}
