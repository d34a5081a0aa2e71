"""What tests of the outbound region share: a Temula whose clock the test moves."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from temula.kernel.clock import ManualClock
from tests.harness import house
from tests.harness.house import Running
from tests.harness.postgres import Postgres


class Still(NamedTuple):
    """A running Temula and its clock. What a provider signs with its own clock is not for it: sell free tickets."""

    temula: Running
    clock: ManualClock


@pytest.fixture(scope="module")
async def stopped(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Still]:
    """A module's Temula on a clock that stands still until the test moves it."""
    clock = ManualClock(datetime(2026, 12, 1, 9, 0, tzinfo=UTC))
    folder = tmp_path_factory.mktemp("stopped")
    async with server.database() as url, house.running(url, folder, clock=clock) as temula:
        yield Still(temula, clock)
