"""Background entry points of tickets."""

from temula.domain.registrations.facts import AttendeesReleased, RegistrationConfirmed
from temula.domain.tickets import service
from temula.domain.tickets.service import QrUrl
from temula.kernel.crypto import KeyRing
from temula.kernel.database import UnitOfWork
from temula.kernel.following import Follower


def follower(ring: KeyRing, qr_url: QrUrl) -> Follower:
    """Give what issues and voids tickets as registrations change."""

    async def confirmed(uow: UnitOfWork, fact: RegistrationConfirmed) -> None:
        await service.on_confirmed(uow, ring, qr_url, fact)

    return Follower("tickets", {RegistrationConfirmed: confirmed, AttendeesReleased: service.release})
