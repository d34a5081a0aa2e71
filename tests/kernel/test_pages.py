"""Pages: nothing skipped, nothing repeated, and a cursor that counts for its own list only."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from temula.kernel.crypto import KeyRing, new_ring
from temula.kernel.errors import InvalidInput
from temula.kernel.ids import EVENT
from temula.kernel.pages import MAX_LIMIT, Page, page, window

RING = new_ring()
SCOPE = ("org_1", "/api/v1/events", None, "draft")
EPOCH = datetime(2026, 12, 1, tzinfo=UTC)
scopes = st.lists(st.none() | st.text(max_size=8), max_size=4).map(tuple)


def read(rows: list[str], cursor: str | None, limit: int, ring: KeyRing = RING) -> Page[str]:
    """A list as stores read it: what stands below the cursor, newest first, one more than shown."""
    asked = window(ring, cursor, limit, *SCOPE)
    below = sorted((row for row in rows if row < asked.before), reverse=True)
    return page(below[: asked.fetch], asked, str)


def ids(count: int, after: datetime = EPOCH) -> list[str]:
    return [EVENT.new(after + timedelta(milliseconds=n)) for n in range(count)]


@given(there=st.integers(0, 60), limit=st.integers(1, 12), added=st.lists(st.integers(0, 5), max_size=60))
def test_a_walk_meets_each_row_once(there: int, limit: int, added: list[int]) -> None:
    """Whoever walks all pages while others add rows meets each row that was there at the start exactly once."""
    rows = ids(there)
    before, met, cursor = list(rows), [], None
    for turn in range(there + 2):
        found = read(rows, cursor, limit)
        assert len(found.items) <= limit
        met += found.items
        if (cursor := found.next_cursor) is None:
            break
        rows += ids(added[turn] if turn < len(added) else 0, EPOCH + timedelta(days=1 + turn))
    assert cursor is None
    assert [row for row in met if row in set(before)] == sorted(before, reverse=True)
    assert len(met) == len(set(met))


@given(there=st.integers(1, 40), limit=st.integers(1, 10), gone=st.data())
def test_rows_that_go_take_no_others_with_them(there: int, limit: int, gone: st.DataObject) -> None:
    """Rows may be deleted between two pages, the cursor's own among them: those that stay are met once."""
    rows = ids(there)
    met, cursor = [], None
    stayed = set(rows)
    while True:
        found = read(rows, cursor, limit)
        met += found.items
        if (cursor := found.next_cursor) is None:
            break
        leaving = gone.draw(st.sets(st.sampled_from(rows), max_size=3))
        rows = [row for row in rows if row not in leaving]
        stayed -= leaving
        if not rows:
            break
    assert len(met) == len(set(met))
    assert stayed <= set(met)


@given(first=scopes, second=scopes)
def test_a_cursor_counts_for_its_own_list(first: tuple[str | None, ...], second: tuple[str | None, ...]) -> None:
    """Organization, route and filters are part of it: with any other it is refused, however they are cut into parts."""
    asked = window(RING, None, 1, *first)
    cursor = page(["b", "a"], asked, str).next_cursor
    assert window(RING, cursor, 1, *first).before == "b"
    assume(first != second)
    with pytest.raises(InvalidInput):
        window(RING, cursor, 1, *second)


@given(place=st.integers(0, 200), change=st.integers(1, 255))
def test_a_changed_cursor_is_refused(place: int, change: int) -> None:
    """Each byte of it is signed."""
    cursor = page(["evt_b", "evt_a"], window(RING, None, 1, *SCOPE), str).next_cursor
    assert cursor is not None
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[place % len(raw)] ^= change
    with pytest.raises(InvalidInput):
        window(RING, base64.urlsafe_b64encode(raw).decode(), 1, *SCOPE)


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_a_forged_cursor_is_refused(cursor: str) -> None:
    """Whatever else is sent as a cursor is an error of the caller's, and nothing worse."""
    with pytest.raises(InvalidInput):
        window(RING, cursor, 1, *SCOPE)


def test_a_cursor_of_another_ring_is_refused() -> None:
    """Only who holds the keys can make one; after a rotation those of the earlier key count while it is known."""
    cursor = page(["b", "a"], window(RING, None, 1, *SCOPE), str).next_cursor
    with pytest.raises(InvalidInput):
        window(new_ring(), cursor, 1, *SCOPE)
    rotated = RING.with_new_primary()
    assert window(rotated, cursor, 1, *SCOPE).before == "b"
    with pytest.raises(InvalidInput):
        window(rotated.only_primary(), cursor, 1, *SCOPE)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
def test_limits_have_limits(limit: int) -> None:
    """A page holds 1 to 100 items."""
    with pytest.raises(InvalidInput, match="limit"):
        window(RING, None, limit, *SCOPE)
