"""Caps, rates, order and shares as the receiver sees them: over a real database, with one worker and with two."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from temula.domain.checkins.facts import CheckInCompleted
from temula.kernel.database import Database
from temula.kernel.facts import Fact
from temula.kernel.http import Http
from temula.outbound.webhooks.jobs import PLACES, Deliverer
from temula.outbound.webhooks.model import TOPIC
from temula.outbound.webhooks.model.engine import BULK_RATE, TROUBLED_SHARE
from tests.harness import house
from tests.harness.house import Running, Tenant, until
from tests.harness.places import open_folder
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver


class Changed(Fact, frozen=True, kw_only=True):
    """What is told in these tests; with `order_by` a message is about a registration or a ticket."""

    TYPE = "event.updated"
    n: int
    registration_id: str | None = None
