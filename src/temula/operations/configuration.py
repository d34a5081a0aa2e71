"""All settings, read once, and what follows from them; apart from the wiring, because commands need only this first."""

from pathlib import Path
from typing import NamedTuple

from temula.kernel import settings
from temula.kernel.crypto import FileKeyRing, KeyRing, load
from temula.kernel.errors import Misconfigured
from temula.kernel.objects import Key, Objects, objects_at
from temula.operations.settings import (
    PARTS,
    ArchiveSettings,
    DatabaseSettings,
    DataSettings,
    KeySettings,
    ProviderSettings,
    ServerSettings,
)

DATABASE_URL_FILE = "run/database-url"


class Configuration(NamedTuple):
    """All settings, read once."""

    database: DatabaseSettings
    server: ServerSettings
    keys: KeySettings
    data: DataSettings
    providers: ProviderSettings
    archive: ArchiveSettings = ArchiveSettings()


def configure(source: settings.Source | None = None) -> Configuration:
    """Read all settings."""
    source = source or settings.load()
    source.require_known(PARTS)
    return Configuration(
        source.read(DatabaseSettings), source.read(ServerSettings), source.read(KeySettings),
        source.read(DataSettings), source.read(ProviderSettings), source.read(ArchiveSettings),
    )  # fmt: skip


def owner_url(configuration: Configuration) -> str:
    """Give the owner's database URL: as set, or of the embedded database that is running."""
    if configuration.database.url:
        return configuration.database.url
    file = configuration.data.folder / DATABASE_URL_FILE
    if not file.exists():
        raise Misconfigured("No database: start the embedded one with `temula up`, or set TEMULA_DATABASE_URL.")
    return file.read_text().strip()


def key_ring(configuration: Configuration) -> KeyRing:
    """Give the key ring."""
    if configuration.keys.ring:
        return load(configuration.keys.ring)
    path = ring_file(configuration)
    if not path.exists():
        raise Misconfigured(f"No key ring: {path} does not exist. `temula keys new` makes one; keep it safe.")
    return FileKeyRing(path)


def storage(configuration: Configuration) -> Objects:
    """Give where archives are kept: as set, or the folder `archive` of the data folder."""
    asked = configuration.archive
    if not asked.url:
        return Objects(configuration.data.folder / "archive")
    key = None
    if asked.access_key_id or asked.secret_access_key:
        if not (asked.access_key_id and asked.secret_access_key):
            raise Misconfigured("Set both TEMULA_ARCHIVE_ACCESS_KEY_ID and TEMULA_ARCHIVE_SECRET_ACCESS_KEY, or none.")
        key = Key(asked.access_key_id, asked.secret_access_key)
    return objects_at(asked.url, key, plain=not configuration.server.production)


def ring_file(configuration: Configuration) -> Path:
    """Name the file of the key ring."""
    return Path(configuration.keys.file) if configuration.keys.file else configuration.data.folder / "keys.json"
