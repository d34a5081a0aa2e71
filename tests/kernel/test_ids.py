"""Ids are TypeIDs over UUIDv7: the published examples, order, time, and nothing else let in."""

from datetime import UTC, datetime, timedelta
from typing import NewType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.kernel import ids
from temula.kernel.ids import EVENT, TICKET, InvalidId, Kind

Thing = NewType("Thing", str)
THING: Kind[Thing] = Kind("prefix")
AT = datetime(2026, 11, 23, 10, 15, 0, 123_999, tzinfo=UTC)

# https://github.com/jetify-com/typeid/blob/main/spec/valid.json
PUBLISHED = [
    ("prefix_00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
    ("prefix_00000000000000000000000001", "00000000-0000-0000-0000-000000000001"),
    ("prefix_0000000000000000000000000a", "00000000-0000-0000-0000-00000000000a"),
    ("prefix_0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"),
    ("prefix_00000000000000000000000010", "00000000-0000-0000-0000-000000000020"),
    ("prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ("prefix_0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
    ("prefix_01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
]


@pytest.mark.parametrize(("text", "uuid"), PUBLISHED)
def test_reads_and_writes_the_published_examples(text: str, uuid: str) -> None:
    assert THING.uuid(THING.parse(text)) == UUID(uuid)
    assert THING.of(UUID(uuid)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prefix",
        "prefix_",
        "_00000000000000000000000000",
        "00000000000000000000000000",
        "PREFIX_00000000000000000000000000",
        "other_00000000000000000000000000",
        "prefix_1234567890123456789012345",
        "prefix_123456789012345678901234567",
        "prefix_1234567890123456789012345 ",
        "prefix_00000000000000000000000000\n",
        "prefix_0123456789ABCDEFGHJKMNPQRS",
        "prefix_123456789-123456789-123456",
        "prefix_0123456789abcdefghijklmnop",
        "prefix_0123456789ubcdefghjkmnpqrs",
        "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "prefix_0000000000000000000000000\u0660",
    ],
)
def test_refuses_what_is_not_an_id_and_names_the_prefix(text: str) -> None:
    with pytest.raises(InvalidId, match="prefix_"):
        THING.parse(text)
    with pytest.raises(InvalidId):
        THING.uuid(Thing(text))


def test_one_kind_does_not_pass_for_another() -> None:
    with pytest.raises(InvalidId, match="evt_"):
        EVENT.parse(TICKET.new(AT))


def test_the_message_does_not_repeat_a_long_text() -> None:
    with pytest.raises(InvalidId) as raised:
        EVENT.parse("x" * 10_000)
    assert len(str(raised.value)) < 120


@given(st.text())
def test_any_text_is_an_id_or_refused(text: str) -> None:
    with pytest.raises(InvalidId):
        EVENT.parse(text)


@given(st.uuids())
def test_every_uuid_survives(uuid: UUID) -> None:
    assert EVENT.uuid(EVENT.parse(EVENT.of(uuid))) == uuid


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_a_new_id_is_a_uuid_of_version_7_and_carries_its_time(at: datetime) -> None:
    id_ = EVENT.new(at)
    uuid = EVENT.uuid(EVENT.parse(id_))
    assert (uuid.version, uuid.int >> 62 & 0b11) == (7, 0b10)
    # Others of the same millisecond in this process may have carried the counter on; far from 2,048 here.
    assert EVENT.time(id_) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_ids_are_in_order_within_a_millisecond_beyond_it_and_across_kinds() -> None:
    made = [EVENT.new(AT) for _ in range(10_000)]
    made += [EVENT.new(AT + timedelta(milliseconds=step)) for step in range(20) for _ in range(50)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert EVENT.time(made[9_999]) - EVENT.time(made[0]) <= timedelta(milliseconds=5)
    assert TICKET.new(AT + timedelta(seconds=9))[4:] < EVENT.new(AT + timedelta(seconds=9))[4:]


def test_a_clock_set_back_is_believed() -> None:
    EVENT.new(AT + timedelta(days=1))
    assert EVENT.time(EVENT.new(AT - timedelta(days=1))).date() == (AT - timedelta(days=1)).date()


def test_a_time_before_1970_is_refused() -> None:
    with pytest.raises(ValueError, match="1970"):
        EVENT.new(datetime(1969, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize("prefix", ["", "Evt", "_evt", "evt_", "evt1", "a" * 64])
def test_a_prefix_is_lower_case_letters(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Kind(prefix)


def test_prefixes_are_told_apart() -> None:
    kinds = [value for value in vars(ids).values() if isinstance(value, Kind)]
    assert len({kind.prefix for kind in kinds}) == len(kinds) >= 26
