"""The composition root: builds each part once and hands it on; nothing else knows how the parts are made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from temula.domain.connections.model import PAYMENTS, Opened
from temula.domain.organizations.model import PLATFORM, Mode
from temula.domain.payments import jobs as payment_jobs
from temula.domain.payments.ports import Charges, Gateways, Refunds
from temula.domain.registrations import jobs as registration_jobs
from temula.domain.tickets import jobs as ticket_jobs
from temula.domain.tickets.service import PublicKeys
from temula.inbound.door import jobs as door_jobs
from temula.inbound.door.service import Door, Providers
from temula.inbound.kit import registry
from temula.inbound.kit.client import ProviderClient
from temula.kernel import following
from temula.kernel.addresses import AddressPolicy
from temula.kernel.clock import Clock
from temula.kernel.consumers import Consumer, WritingConsumer
from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database
from temula.kernel.errors import Misconfigured
from temula.kernel.http import Http
from temula.kernel.ids import TicketId
from temula.kernel.runner import AnyHandler, Timed
from temula.kernel.tenancy import system
from temula.operations import catalogue, retention
from temula.operations.configuration import Configuration, key_ring, owner_url, storage
from temula.operations.settings import ServerSettings
from temula.outbound.callers.service import Callers
from temula.outbound.webhooks.jobs import Deliverer, Replayer, adding_up, days, fan_out
from temula.outbound.webhooks.service import Archives, Endpoints, Replays

MOST_IDLE = 2048  # connections that are kept: a hundred endpoints with all of their places
PLATFORM_ACTOR = system("platform", PLATFORM)


class House(NamedTuple):
    """Every part, built."""

    configuration: Configuration
    database: Database
    ring: KeyRing
    http: Http
    providers: Providers
    gateways: Gateways
    door: Door
    callers: Callers
    endpoints: Endpoints
    replays: Replays
    ticket_keys: PublicKeys
    policy: AddressPolicy
    archives: Archives

    @property
    def archives_kept(self) -> Archives | None:
        """Where what is past its time is archived, unless it is not."""
        return self.archives if self.configuration.archive.enabled else None

    @property
    def followers(self) -> tuple[following.Follower, ...]:
        """Who follows facts inside the house."""
        base = self.configuration.server.base_url

        def qr_url(ticket_id: TicketId) -> str:
            return f"{base}/api/v1/tickets/{ticket_id}/qr"

        return (registration_jobs.FOLLOWER, ticket_jobs.follower(self.ring, qr_url))

    @property
    def consumers(self) -> tuple[Consumer | WritingConsumer, ...]:
        """Every reader of the fact log."""
        inside = tuple(following.consumer(self.database, follower) for follower in self.followers)
        return (*inside, fan_out())

    @property
    def handlers(self) -> dict[str, AnyHandler]:
        """What runs each kind of job."""
        return {
            **payment_jobs.handlers(self.database, self.gateways, self.ring),
            **registration_jobs.handlers(self.database),
            **door_jobs.handlers(self.door),
            **following.handlers(self.database, self.followers),
            **days.handlers(self.database),
            **adding_up.handlers(self.database),
            **retention.handlers(self.database, self.configuration.data, self.archives_kept),
        }

    @property
    def timed(self) -> tuple[Timed, ...]:
        """What the clock starts."""
        return (*registration_jobs.TIMED, *days.TIMED, *adding_up.TIMED, *retention.TIMED)

    def deliverer(self) -> Deliverer:
        """Build a delivery loop."""
        return Deliverer(self.database, self.http, self.ring, self.policy)

    def replayer(self) -> Replayer:
        """Build what takes the steps of replays."""
        return Replayer(self.database)


class Connectors:
    """Opens connectors for connections; only sandbox ones may be pointed at a stand-in."""

    def __init__(self, providers: Providers, http: Http, stand_ins: dict[str, str]) -> None:
        self._providers = providers
        self._http = http
        self._stand_ins = stand_ins

    def charges(self, opened: Opened) -> Charges:
        """Give the connector that takes money through this connection."""
        connector: Charges = self._open(opened, "charges")
        return connector

    def refunds(self, opened: Opened) -> Refunds:
        """Give the connector that gives money back through this connection."""
        connector: Refunds = self._open(opened, "refunds")
        return connector

    def _open(self, opened: Opened, capability: str):  # type: ignore[no-untyped-def]
        provider = registry.get(self._providers, PAYMENTS, opened.connection.provider)
        if capability not in provider.manifest.capabilities:
            raise Misconfigured(f"{provider.manifest.title} has no {capability}.")
        base = provider.manifest.api_base
        if opened.connection.mode == Mode.SANDBOX:
            base = self._stand_ins.get(opened.connection.provider, base)
        client = ProviderClient(self._http, base, provider.manifest.deadline, tuple(opened.credentials.values()))
        return provider.connector.CONNECTOR(client, opened)


@asynccontextmanager
async def opened(configuration: Configuration, *, clock: Clock | None = None) -> AsyncIterator[House]:
    """Build every part, connect, and close all at the end; `clock` is the system's if left out."""
    app_url = configuration.database.app_url or owner_url(configuration)
    database = Database(app_url, clock=clock, size=configuration.database.pool)
    http = Http(max_idle=MOST_IDLE)
    await database.open()
    await http.open()
    try:
        yield built(configuration, database, http)
    finally:
        await http.close()
        await database.close()


def built(configuration: Configuration, database: Database, http: Http) -> House:
    """Build every part over a database and a door out that somebody opens."""
    ring, providers = key_ring(configuration), registry.find()
    url = configuration.providers.stripe_sandbox_url
    gateways = Connectors(providers, http, {"stripe": url} if url else {})
    policy, examples = address_policy(configuration.server), catalogue.examples()
    replays = Replays(database.clock, frozenset(examples))
    return House(
        configuration, database, ring, http, providers, gateways, Door(database, ring, providers), Callers(database),
        Endpoints(ring, policy, examples), replays, PublicKeys(), policy, Archives(storage(configuration)),
    )  # fmt: skip


def address_policy(server: ServerSettings) -> AddressPolicy:
    """Give what is dialled for customers: in production never ourselves, elsewhere this machine as well."""
    if not server.production:
        return AddressPolicy(allow_loopback=True)
    return AddressPolicy(own_hosts=frozenset({urlsplit(server.base_url).hostname or ""}))
