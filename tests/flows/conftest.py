"""The walk, played once on the embedded PostgreSQL and once on one by URL; and `temula up` in processes of its own."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from temula.operations import migrations
from tests.flows.walk import Walk
from tests.harness import house, receiver
from tests.harness.by_url import by_url
from tests.harness.house import Running
from tests.harness.postgres import Postgres
from tests.operations.processes import Programs


@pytest.fixture(scope="session")
async def temula_by_url(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A Temula on a PostgreSQL that was there before."""
    async with by_url(server) as other, other.database(template=None) as url:
        await migrations.apply(url)
        async with house.running(url, tmp_path_factory.mktemp("by-url")) as running:
            yield running


@pytest.fixture(scope="session", params=["temula", "temula_by_url"], ids=["embedded", "by-url"])
def place(request: pytest.FixtureRequest) -> Running:
    """One Temula after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
async def walk(place: Running) -> AsyncIterator[Walk]:
    """The walk, played to its end."""
    async with receiver.receiving() as hooks:
        walk = Walk(place, await place.tenant(), hooks)
        await walk.play()
        yield walk


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data folder that every user can get to: root's PostgreSQL runs as another one."""
    with tempfile.TemporaryDirectory(prefix="temula-flow-") as made:
        Path(made).chmod(0o755)
        yield Path(made) / "var"


@pytest.fixture(scope="module")
async def programs() -> AsyncIterator[Programs]:
    """Processes that end with the module."""
    started = Programs()
    yield started
    await started.end()
