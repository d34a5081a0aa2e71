"""Background entry points of the door."""

from temula.inbound.door.service import Door
from temula.inbound.kit.inbox import ProcessCallback
from temula.kernel.runner import AnyHandler, Handler
from temula.kernel.tenancy import Actor


def handlers(door: Door) -> dict[str, AnyHandler]:
    """Give what processes callbacks."""

    async def process(actor: Actor, job: ProcessCallback) -> None:
        await door.process(actor, job.callback_id)

    async def park(actor: Actor, job: ProcessCallback, error: Exception) -> None:
        await door.park(actor, job.callback_id, error)

    return {ProcessCallback.KIND: Handler(ProcessCallback, process, park)}
