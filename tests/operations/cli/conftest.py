"""Somebody at the command line of a Temula with a database of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from temula.domain.connections import service as connections
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Organization
from temula.kernel.crypto import new_ring
from temula.kernel.tenancy import system
from temula.operations.wiring import House, opened
from tests.harness.house import configuration


class Operator(NamedTuple):
    """Somebody at the command line, beside a house to look into."""

    house: House
    environ: dict[str, str]
    live: Organization
    sandbox: Organization

    async def run(self, *words: str, typed: str = "", fails: bool = False) -> str:
        """Run a command and give what it prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "temula.operations.cli", *words, env=self.environ,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(typed.encode()), 60)
        assert process.returncode == (2 if fails else 0), said.decode()
        return said.decode()

    def sandbox_runs(self) -> None:
        """Leave what `temula up` leaves: a file that says which sandbox runs here."""
        file = Path(self.environ["TEMULA_DATA_DIR"]) / "quickstart.json"
        file.write_text(json.dumps({"base_url": "x", "token": "x", "organization_id": self.sandbox.organization_id}))

    async def used(self, organization: Organization) -> dict[str, str]:
        """The credentials of the account that an organization would be paid through."""
        found = await connections.resolve(self.house.database, system("test", organization.organization_id), "payments")
        return dict(connections.opened(self.house.ring, found).credentials)


@pytest.fixture
async def operator(owner_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    folder = tmp_path_factory.mktemp("operator")
    ring = new_ring().dump().decode()
    asked = configuration(owner_url, folder)
    asked = asked._replace(keys=type(asked.keys)(ring=ring))
    environ = {
        **os.environ, "TEMULA_DATABASE_URL": owner_url, "TEMULA_KEYS_RING": ring, "TEMULA_DATA_DIR": str(folder),
        "TEMULA_SERVER_PUBLIC_URL": "https://tickets.test", "COLUMNS": "200",
    }  # fmt: skip
    async with opened(asked) as house:
        twins = await organizations.create_twins(house.database, name="Club", plan=organizations.Plan.PRO, part="test")
        yield Operator(house, environ, *twins)
