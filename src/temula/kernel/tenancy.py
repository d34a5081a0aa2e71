"""Whose data and who acts: no unit of work opens without an actor, and an actor belongs to one organization."""

from enum import StrEnum

import msgspec

from temula.kernel.ids import OrganizationId


class ActorKind(StrEnum):
    """The kinds of actor the audit log tells apart."""

    USER = "user"
    TOKEN = "token"  # noqa: S105 - a kind of actor, not a secret
    DEVICE = "device"
    VENDOR = "vendor"
    PROVIDER = "provider"
    SYSTEM = "system"


class Actor(msgspec.Struct, frozen=True):
    """Who acts, for which organization. `abilities` are `resource:action`; `*` and `resource:*` widen."""

    kind: ActorKind
    id: str
    organization_id: OrganizationId
    abilities: frozenset[str] = frozenset()

    def may(self, ability: str) -> bool:
        """Tell whether one of the actor's abilities covers `ability`."""
        resource = ability.partition(":")[0]
        return not self.abilities.isdisjoint((ability, f"{resource}:*", "*"))


def system(part: str, organization_id: OrganizationId) -> Actor:
    """Temula itself, acting for an organization from one of its own parts (a job, a consumer)."""
    return Actor(ActorKind.SYSTEM, part, organization_id, frozenset({"*"}))
