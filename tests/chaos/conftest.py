"""What tests of faults share."""

import os
import random
import secrets
from collections.abc import AsyncIterator

import pytest

from tests.chaos.site import Site, site_on
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver

SEED = int(os.environ.get("TEMULA_CHAOS_SEED", "0")) or secrets.randbits(32)


@pytest.fixture
def chance() -> random.Random:
    """What is left to chance, and how it is had again."""
    print(f"TEMULA_CHAOS_SEED={SEED} repeats this run")
    return random.Random(SEED)


@pytest.fixture
async def site(server: Postgres, hooks: Receiver) -> AsyncIterator[Site]:
    """A site on a database of its own."""
    async with server.database() as url, site_on(url, hooks) as running:
        yield running
