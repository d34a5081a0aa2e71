"""The organization as its own callers see it."""

from datetime import datetime

import msgspec

from temula.domain.organizations.model import Mode, Organization, Plan


class OrganizationView(msgspec.Struct, frozen=True):
    """The organization that the token belongs to, and what the token may do."""

    id: str
    name: str
    mode: Mode
    plan: Plan
    requests_per_minute: int
    features: list[str]
    twin_id: str | None
    abilities: list[str]
    created_at: datetime


def organization_view(o: Organization, abilities: list[str]) -> OrganizationView:
    """Show an organization."""
    return OrganizationView(
        o.organization_id, o.name, o.mode, o.plan, o.rate, o.features, o.twin_id, abilities, o.created_at
    )
