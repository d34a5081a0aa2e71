"""Which changes of a published message's shape are refused."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from temula.operations import catalogue
from tools import reference
from tools.compatibility import breaks

Shape = dict[str, Any]


@pytest.fixture
def shape() -> Shape:
    """That of a message with texts, numbers, a list and an object within."""
    (found,) = [one.schema for one in catalogue.event_types().data if one.type == "registration.created"]
    return copy.deepcopy(found)


def data(shape: Shape) -> Shape:
    inner: Shape = shape["properties"]["data"]
    return inner


def without(shape: Shape) -> None:
    del data(shape)["properties"]["currency"]


def sometimes(shape: Shape) -> None:
    data(shape)["required"].remove("currency")


def retyped(shape: Shape) -> None:
    data(shape)["properties"]["total_amount"]["type"] = "string"


def perhaps_null(shape: Shape) -> None:
    data(shape)["properties"]["total_amount"]["type"] = ["integer", "null"]


def another_item(shape: Shape) -> None:
    data(shape)["properties"]["attendee_ids"]["items"]["type"] = "integer"


def another_pattern(shape: Shape) -> None:
    data(shape)["properties"]["attendee_id"]["pattern"] = "^guest_"


def another_constant(shape: Shape) -> None:
    shape["properties"]["event_type"]["const"] = "registration.made"


def untyped(shape: Shape) -> None:
    data(shape)["properties"]["total_amount"] = {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without, "/data/currency is gone"), (sometimes, "/data/currency is no longer always there"),
        (retyped, "/data/total_amount was integer and becomes string"),
        (perhaps_null, "/data/total_amount was integer and becomes integer or null"),
        (another_item, "/data/attendee_ids/items was string and becomes integer"),
        (another_pattern, "/data/attendee_id has another pattern"), (another_constant, "/event_type has another const"),
        (untyped, "/data/total_amount was integer and becomes any"),
    ],
)  # fmt: skip
def test_what_breaks_receivers_is_refused(shape: Shape, change: Callable[[Shape], None], said: str) -> None:
    """A field removed, retyped, made optional or of another form: each is named with its place."""
    before = copy.deepcopy(shape)
    change(shape)
    assert said in " ".join(breaks(before, shape))


def added(shape: Shape) -> None:
    data(shape)["properties"]["coupon"] = {"type": "string"}
    data(shape)["required"].append("coupon")


def described(shape: Shape) -> None:
    data(shape)["properties"]["currency"] |= {"description": "Of all amounts", "examples": ["SGD"]}


def narrowed(shape: Shape) -> None:
    shape["properties"]["team_id"]["type"] = "string"


@pytest.mark.parametrize("change", [added, described, narrowed])
def test_what_only_adds_passes(shape: Shape, change: Callable[[Shape], None]) -> None:
    """A new field, other words, a null that no longer comes: who reads the old shape reads the new one."""
    before = copy.deepcopy(shape)
    change(shape)
    assert before != shape
    assert breaks(before, shape) == []


def test_a_breaking_shape_is_not_written(shape: Shape, tmp_path: Path) -> None:
    """`make reference` stops instead of overwriting what is published; what only grew it writes."""
    published = tmp_path / "registration.created.v1.json"
    reference._publish(published, shape)
    first = published.read_bytes()
    smaller = copy.deepcopy(shape)
    without(smaller)
    with pytest.raises(SystemExit, match="would break receivers"):
        reference._publish(published, smaller)
    assert published.read_bytes() == first
    added(shape)
    reference._publish(published, shape)
    assert json.loads(published.read_bytes()) == shape
