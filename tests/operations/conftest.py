"""What tests of the operations share: programs to start, a folder that every user can get to, and free ports."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.harness.places import open_folder
from tests.operations.processes import Programs


@pytest.fixture
async def programs() -> AsyncIterator[Programs]:
    started = Programs()
    yield started
    await started.end()


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as place:
        yield place


@pytest.fixture(scope="session")
def folder_of_the_run() -> Iterator[Path]:
    with open_folder() as place:
        yield place


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
