"""Connections as values: an organization's account with a provider, or the platform's."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from temula.kernel.ids import ConnectionId, OrganizationId

PAYMENTS = "payments"


class Connection(msgspec.Struct, frozen=True):
    """A provider account as it is stored; `hint` is the last characters of the main credential."""

    organization_id: OrganizationId
    id: ConnectionId
    kind: str
    provider: str
    mode: str
    credentials: bytes
    hint: str
    enabled: bool
    created_at: datetime
    on_platform: bool = False

    @property
    def context(self) -> str:
        """Where the sealed credentials belong."""
        table = "platform_gateway_configs" if self.on_platform else "payment_gateway_configs"
        return f"{self.organization_id}|{table}|{self.id}|credentials"


class Opened(msgspec.Struct, frozen=True):
    """A connection with its credentials open: never logged, never stored, never shown."""

    connection: Connection
    credentials: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Opened({self.connection.id}, credentials hidden)"
