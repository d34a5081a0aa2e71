"""The inbox: a callback is stored with the job that processes it, in one transaction; a repeat changes nothing."""

from collections.abc import Mapping

import msgspec

from temula.domain.connections.model import Connection
from temula.inbound.kit import store
from temula.inbound.kit.store import Callback
from temula.kernel.database import UnitOfWork
from temula.kernel.errors import NotFound
from temula.kernel.ids import CALLBACK
from temula.kernel.jobs import Job

# Signatures are not kept: they were checked, and are as good as secrets while their tolerance lasts.
KEPT_HEADERS = ("content-type", "user-agent", "x-request-id")


class ProcessCallback(Job, frozen=True, kw_only=True):
    """Translate a stored callback and apply what it says."""

    KIND = "callbacks.process"
    TRIES = 12
    callback_id: str


async def remember(
    uow: UnitOfWork, connection: Connection, dedupe_key: str, headers: Mapping[str, str], body: bytes
) -> bool:
    """Store a verified callback and enqueue its processing; False if it had come before."""
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    callback = Callback(
        uow.organization_id, CALLBACK.new(uow.now), connection.id, connection.kind, connection.provider, dedupe_key,
        msgspec.json.encode(kept), body, "received", None, uow.now,
    )  # fmt: skip
    if not await store.insert(uow, callback):
        return False
    uow.enqueue(ProcessCallback(callback_id=callback.id))
    return True


async def get(uow: UnitOfWork, callback_id: str) -> Callback:
    """Find a stored callback."""
    if (callback := await store.get(uow, callback_id)) is None:
        raise NotFound(f"There is no callback {callback_id}.")
    return callback


async def unfinished(uow: UnitOfWork, limit: int) -> list[Callback]:
    """List callbacks that are parked or not processed yet, oldest first, of all that this unit of work sees."""
    return await store.unfinished(uow, limit)


async def retry(uow: UnitOfWork, callback_id: str) -> None:
    """Have a parked callback processed once more."""
    if not await store.unpark(uow, callback_id):
        raise NotFound(f"There is no parked callback {callback_id}.")
    uow.enqueue(ProcessCallback(callback_id=callback_id))
    uow.audit("callback.retry", callback_id)


async def close(uow: UnitOfWork, callback_id: str, state: str, error: str | None = None) -> None:
    """Note what became of a callback: `done`, `ignored`, or `parked` with the reason."""
    await store.set_state(uow, callback_id, state, error)
