"""Every part's settings, documented where they are declared; `temula settings` prints them."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from temula.kernel.settings import Part


class DatabaseSettings(Part, frozen=True, forbid_unknown_fields=True):
    """Which PostgreSQL holds everything."""

    SECTION: ClassVar[str] = "database"
    url: Annotated[
        str | None, Meta(description="Owner's connection URL of PostgreSQL 15+; empty: an embedded one under var/")
    ] = None
    app_url: Annotated[
        str | None, Meta(description="URL of a login that is only a member of temula_app; empty: the owner's, lowered")
    ] = None
    pool: Annotated[int, Meta(ge=2, le=200, description="Most connections of each process")] = 10


class ServerSettings(Part, frozen=True, forbid_unknown_fields=True):
    """How the API is reached."""

    SECTION: ClassVar[str] = "server"
    host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on; PORT sets it too")] = 8080
    public_url: Annotated[
        str | None, Meta(description="How others reach this server; empty: http://localhost:port")
    ] = None
    environment: Annotated[
        Literal["sandbox", "production"], Meta(description="production answers https only and delivers to https only")
    ] = "sandbox"

    @property
    def base_url(self) -> str:
        """How others reach this server."""
        return (self.public_url or f"http://localhost:{self.port}").rstrip("/")

    @property
    def production(self) -> bool:
        """Whether the strict rules hold."""
        return self.environment == "production"


class KeySettings(Part, frozen=True, forbid_unknown_fields=True):
    """The key ring that seals stored secrets."""

    SECTION: ClassVar[str] = "keys"
    ring: Annotated[str | None, Meta(description="The key ring itself, as `temula keys new` prints it")] = None
    file: Annotated[str | None, Meta(description="File with the key ring; empty: keys.json under the data folder")] = (
        None
    )


class DataSettings(Part, frozen=True, forbid_unknown_fields=True):
    """Where files are kept, and for how long rows are."""

    SECTION: ClassVar[str] = "data"
    dir: Annotated[str, Meta(description="Folder of the embedded database, logs and the quickstart file")] = "var"
    delivery_days: Annotated[
        int, Meta(ge=90, description="Days that attempts at deliveries are kept at least; a plan may keep more")
    ] = 90
    callback_days: Annotated[int, Meta(ge=1, description="Days that providers' callbacks are kept")] = 90

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.dir).absolute()


class ArchiveSettings(Part, frozen=True, forbid_unknown_fields=True):
    """Where what is past its time is kept as files, before its rows go."""

    SECTION: ClassVar[str] = "archive"
    enabled: Annotated[bool, Meta(description="false: what is past its time is removed and not archived")] = True
    url: Annotated[
        str | None,
        Meta(description="file:///folder, or s3://bucket/folder?region=...&endpoint=https://... (endpoint: of a store "
                         "that is not Amazon's); empty: archive/ under the data folder"),
    ] = None  # fmt: skip
    access_key_id: Annotated[
        str | None, Meta(description="Key of the s3:// storage; empty: as AWS_ACCESS_KEY_ID or the machine's role says")
    ] = None
    secret_access_key: Annotated[str | None, Meta(description="The key's secret")] = None


class ProviderSettings(Part, frozen=True, forbid_unknown_fields=True):
    """Where providers' sandboxes are; live connections always use the provider's own address."""

    SECTION: ClassVar[str] = "providers"
    stripe_sandbox_url: Annotated[
        str | None, Meta(description="Stripe stand-in that sandbox connections call; empty: Stripe itself")
    ] = None
    emulator_port: Annotated[int, Meta(ge=0, le=65535, description="Port of the stand-in; 0: the next free one")] = 0


PARTS: tuple[type[Part], ...] = (
    DatabaseSettings, ServerSettings, KeySettings, DataSettings, ArchiveSettings, ProviderSettings,
)  # fmt: skip
