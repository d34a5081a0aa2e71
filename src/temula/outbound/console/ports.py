"""What the console needs of webhooks, which stand beside it."""

from typing import Protocol

from temula.kernel.database import UnitOfWork
from temula.outbound.console.model import Deliveries


class Webhooks(Protocol):
    """Tells how an organization's webhooks stand, and enables an endpoint again."""

    async def look(self, uow: UnitOfWork) -> Deliveries:
        """Tell what who acts may see."""

    async def enable(self, uow: UnitOfWork, endpoint_id: str) -> None:
        """Enable a disabled endpoint; raises `NotFound` if there is none of that id."""
