"""The key ring at the start: a new database gets one, a used one gets its own or none."""

from pathlib import Path

import msgspec
import pytest

from temula.kernel.crypto import new_ring, save_file
from temula.kernel.errors import Misconfigured
from temula.operations import keyring
from temula.operations.configuration import Configuration
from temula.operations.settings import KeySettings
from tests.harness import house


def asked(owner_url: str, folder: Path, *, environment: str = "sandbox") -> Configuration:
    configuration = house.configuration(owner_url, folder)
    server = msgspec.structs.replace(configuration.server, environment=environment)
    return configuration._replace(keys=KeySettings(), server=server)


async def used(owner_url: str, folder: Path) -> str:
    """Use the database, so that it holds a sealed secret; gives the ring that sealed it."""
    async with house.running(owner_url, folder, worker=False) as temula:
        tenant = await temula.tenant(connected=False)
        await tenant.api.post("/webhooks/endpoints", {"url": "http://127.0.0.1:9/hooks"})
        return temula.house.configuration.keys.ring or ""


async def test_a_new_database_gets_a_ring_of_its_own(owner_url: str, tmp_path: Path) -> None:
    """Somebody with a database of their own needs no step before the first start; the file is private."""
    made = await keyring.ensure(asked(owner_url, tmp_path))
    assert made == tmp_path / "keys.json"
    assert made.stat().st_mode & 0o777 == 0o600
    ring = made.read_bytes()
    assert await keyring.ensure(asked(owner_url, tmp_path)) is None
    assert made.read_bytes() == ring


async def test_in_production_a_ring_is_never_made_by_itself(owner_url: str, tmp_path: Path) -> None:
    """Where several machines share one ring, whoever runs them puts it there."""
    with pytest.raises(Misconfigured, match="run `temula keys new"):
        await keyring.ensure(asked(owner_url, tmp_path, environment="production"))
    assert not (tmp_path / "keys.json").exists()


async def test_a_lost_ring_is_not_replaced(owner_url: str, tmp_path: Path) -> None:
    """If the database holds sealed secrets, a new ring would hide that the old one is lost."""
    await used(owner_url, tmp_path)
    with pytest.raises(Misconfigured, match="a new one could not open them"):
        await keyring.ensure(asked(owner_url, tmp_path))
    assert not (tmp_path / "keys.json").exists()


async def test_the_ring_of_another_database_is_refused(owner_url: str, tmp_path: Path) -> None:
    """A ring that does not open what is there is refused at the start; the right one is taken."""
    right = await used(owner_url, tmp_path)
    configuration = asked(owner_url, tmp_path)
    save_file(new_ring(), tmp_path / "keys.json")
    with pytest.raises(Misconfigured, match="Is it the ring of another database"):
        await keyring.ensure(configuration)
    assert await keyring.ensure(configuration._replace(keys=KeySettings(ring=right))) is None
