"""What tests of delivery share."""

import pytest

from tests.harness.receiver import Receiver
from tests.outbound.conftest import Still
from tests.outbound.webhooks.watched import Watched, watching


@pytest.fixture
async def watched(stopped: Still, hooks: Receiver) -> Watched:
    return await watching(stopped, hooks.url)
