"""What all tests share: one PostgreSQL and one running Temula for the run; each test has tenants of its own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import settings

from temula.kernel.clock import ManualClock
from temula.kernel.database import Database
from tests.harness import house, postgres, receiver
from tests.harness.house import Running, Tenant
from tests.harness.places import open_folder
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver

# How long one example takes is the machine's affair: a slow hour failed a test that was true.
settings.register_profile("temula", settings.default, deadline=None)
settings.load_profile("temula")


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Postgres]:
    """The run's PostgreSQL: embedded, or the one that TEMULA_TEST_DATABASE_URL names."""
    with open_folder() as folder:
        async with postgres.running(folder / "server") as running:
            yield running


@pytest.fixture
async def owner_url(server: Postgres) -> AsyncIterator[str]:
    """A migrated database of the test's own; the URL of its owner."""
    async with server.database() as url:
        yield url


@pytest.fixture
def still() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock(datetime(2026, 12, 1, 9, 0, tzinfo=UTC))


@pytest.fixture
async def database(owner_url: str) -> AsyncIterator[Database]:
    """The application's way into the test's own database, on the system's clock."""
    opened = Database(owner_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def temula(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The run's Temula: API, worker, Stripe stand-in, on the system's clock."""
    async with server.database() as url, house.running(url, tmp_path_factory.mktemp("temula")) as running:
        yield running


@pytest.fixture
async def tenant(temula: Running) -> Tenant:
    """An organization of the test's own."""
    return await temula.tenant()


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    """A customer's server that takes webhooks."""
    async with receiver.receiving() as running:
        yield running
