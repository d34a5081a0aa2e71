"""One cluster for all tests here that need no new one, since making one takes longer than most tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from temula.operations.embedded import EmbeddedPostgres


@pytest.fixture
def home(folder_of_the_run: Path) -> Path:
    """The folder of the server."""
    return folder_of_the_run / "postgres"


@pytest.fixture
async def server(home: Path) -> AsyncIterator[EmbeddedPostgres]:
    """Not started yet; stopped at the end if the test has not."""
    made = EmbeddedPostgres(home)
    yield made
    await made.stop()


@pytest.fixture
async def data(server: EmbeddedPostgres, home: Path) -> Path:
    """Where the server's data is, made by an earlier start."""
    if not (home / "data").exists():
        await server.start()
        await server.stop()
    return home / "data"
