"""What the console is told of webhooks: both are channels, and only operations knows the two."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from temula.kernel.database import UnitOfWork
from temula.outbound.console.model import Deliveries, Notice, Sent, Trouble
from temula.outbound.console.service import ENABLE
from temula.outbound.webhooks import service as webhooks
from temula.outbound.webhooks.model import DISABLE_AFTER, Endpoint, EndpointFailing, EndpointState
from temula.outbound.webhooks.service import Endpoints

SHOWN = 15
SEE = "webhooks:read"
HOUR = timedelta(hours=1)


class Webhooks:
    """How an organization's webhooks stand, in the console's words."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def look(self, uow: UnitOfWork) -> Deliveries:
        """Tell numbers and latest messages to everybody, of endpoints in trouble to who may see webhooks."""
        latest = [
            Sent(one.id, one.type, urlsplit(one.url).netloc, one.state, one.attempts, one.created_at)
            for one in await webhooks.latest(uow, SHOWN)
        ]
        numbers = await webhooks.delivered_since(uow, uow.now - HOUR), await webhooks.disabled(uow)
        if not uow.actor.may(SEE):
            return Deliveries(*numbers, latest, [], [])
        found, may_enable = await webhooks.notices(uow), uow.actor.may(ENABLE)
        troubled = [_trouble(one, may_enable=may_enable) for one in found.troubled]
        return Deliveries(*numbers, latest, troubled, [_notice(one) for one in found.told])

    async def enable(self, uow: UnitOfWork, endpoint_id: str) -> None:
        """Enable a disabled endpoint; any other stays as it is."""
        await self._endpoints.enable(uow, endpoint_id)


def _trouble(trouble: webhooks.Trouble, *, may_enable: bool) -> Trouble:
    e, last = trouble.endpoint, trouble.last
    since = f" It has been failing since {_at(e.failing_since)}." if e.failing_since else ""
    waits = f"{str(trouble.waits).capitalize()} {'waits' if trouble.waits.number == 1 else 'wait'} for it."
    if e.state == EndpointState.DISABLED:
        told = last is not None and not isinstance(last.told, EndpointFailing)
        when = f" on {_at(last.at)}" if last is not None and told else ""
        return Trouble(
            e.id, _name(e), e.url, f"Disabled{when}. {e.state_reason or ''}{since} {waits}",
            f"Look at what it answered (GET /api/v1/webhooks/deliveries?endpoint_id={e.id}) and mend the receiver. "
            "Then enable the endpoint again: what waits goes out.",
            disabled=True, can_enable=may_enable,
        )  # fmt: skip
    said = f" The last: {last.told.last}." if last is not None and isinstance(last.told, EndpointFailing) else ""
    return Trouble(
        e.id, _name(e), e.url, f"{e.failures} attempts in a row have failed.{said}{since} {waits}",
        f"Look at the receiver: after {DISABLE_AFTER} in a row, over at least a minute, the endpoint is disabled. "
        "What failed is tried again by itself.",
        disabled=False, can_enable=False,
    )  # fmt: skip


def _notice(notice: webhooks.Notice) -> Notice:
    told = notice.told
    if isinstance(told, EndpointFailing):
        said = f"{told.failures} attempts in a row failed; the last: {told.last}."
    else:
        said = f"Disabled. {told.reason}"
    e = notice.endpoint
    return Notice(notice.at, _name(e) if e else told.endpoint_id, said, e.state if e else "deleted")


def _name(endpoint: Endpoint) -> str:
    return endpoint.description or urlsplit(endpoint.url).netloc


def _at(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC"
