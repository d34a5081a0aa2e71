"""How values travel to PostgreSQL as text."""

import asyncio

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from temula.kernel.sql import array

AWKWARD = st.sampled_from(['"', "\\", ",", "{", "}", "NULL", "", " ", "\n", '","', '\\"', "é\U0001f600"])
TEXTS = st.lists(
    st.one_of(st.none(), AWKWARD, st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8))
)


async def read(owner_url: str, kind: str, lists: list[list[object]]) -> list[list[object]]:
    connection = await asyncpg.connect(owner_url)
    try:
        return [await connection.fetchval(f"SELECT $1::text::{kind}[]", array(one)) for one in lists]
    finally:
        await connection.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(TEXTS, max_size=20))
def test_texts_come_back_as_they_were(owner_url: str, lists: list[list[object]]) -> None:
    """Whatever they hold: quotes, backslashes, braces, commas, the word NULL, nothing, or None."""
    assert asyncio.run(read(owner_url, "text", lists)) == lists


@pytest.mark.parametrize("numbers", [[], [0], [-1, 2**62], [None, 7], [None]])
async def test_numbers_come_back_as_they_were(owner_url: str, numbers: list[object]) -> None:
    """And those that are missing."""
    assert await read(owner_url, "bigint", [numbers]) == [numbers]
