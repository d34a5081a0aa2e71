"""Organizations, their plans and their people."""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from temula.kernel.errors import InvalidInput
from temula.kernel.ids import MemberId, OrganizationId, TeamId

PLATFORM = OrganizationId("org_00000000000000000000000000")
"""The platform's own organization: schedules and platform connections act for it."""


class Plan(StrEnum):
    """What an organization pays for."""

    FREE = "free"
    STARTER = "starter"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class Mode(StrEnum):
    """Whether money and messages are real."""

    LIVE = "live"
    SANDBOX = "sandbox"


class Role(StrEnum):
    """What a member may do."""

    OWNER = "owner"
    ADMIN = "admin"
    MANAGER = "manager"
    STAFF = "staff"
    VIEWER = "viewer"


REQUESTS_PER_MINUTE = {Plan.STARTER: 1000, Plan.PRO: 1000, Plan.ENTERPRISE: 10_000}
PLANS_WITH_API = (Plan.STARTER, Plan.PRO, Plan.ENTERPRISE)
PLANS_WITH_PLATFORM_PAYMENTS = (Plan.STARTER, Plan.PRO, Plan.ENTERPRISE)
DELIVERY_DAYS = {Plan.ENTERPRISE: 365}
"""Days that attempts at deliveries are kept, where a plan has more than the installation's."""

_READ_ALL = frozenset(
    f"{noun}:read"
    for noun in ("organization", "events", "registrations", "attendees", "tickets", "check_ins", "payments", "webhooks")
)
ABILITIES: dict[Role, frozenset[str]] = {
    Role.OWNER: frozenset({"*"}),
    Role.ADMIN: frozenset({"*"}),
    Role.MANAGER: _READ_ALL | {"events:write", "registrations:write", "attendees:write", "tickets:write",
                               "check_ins:write"},
    Role.STAFF: frozenset({"events:read", "attendees:read", "tickets:read", "check_ins:read", "check_ins:write"}),
    Role.VIEWER: _READ_ALL,
}  # fmt: skip


_FEATURE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Organization(msgspec.Struct, frozen=True):
    """A tenant. A sandbox organization is its own tenant, twin of a live one."""

    organization_id: OrganizationId
    name: str
    mode: Mode
    twin_id: OrganizationId | None
    plan: Plan
    requests_per_minute: int | None
    features: list[str]
    platform_payments: bool
    created_at: datetime

    @property
    def has_api(self) -> bool:
        """Whether the plan includes API access."""
        return self.plan in PLANS_WITH_API

    def toggled(self, on: Iterable[str], off: Iterable[str]) -> "Organization":
        """Give the organization with features switched on and off."""
        for name in (*on, *off):
            if not _FEATURE.fullmatch(name):
                raise InvalidInput("A feature is named in lower-case letters, digits and underscores, up to 64.")
        return msgspec.structs.replace(self, features=sorted({*self.features, *on} - {*off}))

    @property
    def rate(self) -> int:
        """API requests a minute for each token."""
        return self.requests_per_minute or REQUESTS_PER_MINUTE.get(Plan(self.plan), 0)

    def delivery_days(self, least: int) -> int:
        """Days that attempts at deliveries are kept: the installation's, or the plan's if that is more."""
        return max(least, DELIVERY_DAYS.get(Plan(self.plan), 0))

    @property
    def may_use_platform_payments(self) -> bool:
        """Whether payments may fall back to the platform's connection: the organization's wish and its plan."""
        return self.platform_payments and self.plan in PLANS_WITH_PLATFORM_PAYMENTS


class Member(msgspec.Struct, frozen=True):
    """A person who works for an organization."""

    organization_id: OrganizationId
    id: MemberId
    email: str
    name: str
    role: Role
    password_hash: str | None
    created_at: datetime


class Team(msgspec.Struct, frozen=True):
    """A part of an organization that runs events of its own."""

    organization_id: OrganizationId
    id: TeamId
    name: str
    created_at: datetime
