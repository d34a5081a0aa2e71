"""Message types, and messages that are asked for instead of sent, through the API."""

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from temula.kernel.database import UnitOfWork
from temula.outbound.callers.acts import Act
from temula.outbound.schemas.common import Limit
from temula.outbound.schemas.webhooks import EventTypeList, MessagePage, MessageView
from temula.outbound.webhooks import service
from temula.outbound.webhooks.routes.views import READ, message_view

After = Annotated[
    str | None,
    QueryParameter(
        description="`next_cursor` of the page before, the id of any message, or `latest` to begin at the end",
        max_length=64,
    ),
]
Types = Annotated[
    str | None,
    QueryParameter(description="Types with commas between: exact, `registration.*` or `*`", max_length=5000),
]


class Messages(Controller):
    """What there is to hear of, and what there was."""

    path = "/webhooks"
    tags = ["Webhooks"]

    @get("/event-types", opt=READ, summary="List message types")
    async def list_event_types(
        self, act: NamedDependency[Act], catalogue: NamedDependency[EventTypeList]
    ) -> Response[EventTypeList]:
        """What an endpoint can subscribe to, with the JSON Schema and an example of each message."""

        async def work(_uow: UnitOfWork) -> EventTypeList:
            return catalogue

        return await act.read(work)

    @get("/messages", opt=READ, summary="Pull messages")
    async def pull_messages(
        self,
        act: NamedDependency[Act],
        catalogue: NamedDependency[EventTypeList],
        after: After = None,
        types: Types = None,
        limit: Limit = 50,
    ) -> Response[MessagePage]:
        """Oldest first, in one order that nothing is later put into; for receivers that reconcile.

        `next_cursor` is always given: keep it, and ask again with it now (`has_more`) or tomorrow. A page can be empty
        and still have more behind it, where `types` is narrow. `after=latest` gives no messages but the cursor behind
        them all, for who wants what happens from now on. Messages are kept as long as the organization.
        """
        known = frozenset(one.type for one in catalogue.data)
        asked = [one.strip() for one in types.split(",")] if types else []

        async def work(uow: UnitOfWork) -> MessagePage:
            pulled = await service.pull(uow, after=after, types=asked, known=known, limit=limit)
            return MessagePage([message_view(fact) for fact in pulled.messages], pulled.next_cursor, pulled.has_more)

        return await act.read(work)

    @get("/messages/{message_id:str}", opt=READ, summary="Get a message")
    async def get_message(self, act: NamedDependency[Act], message_id: FromPath[str]) -> Response[MessageView]:
        """The whole message, for who was sent a thin one."""

        async def work(uow: UnitOfWork) -> MessageView:
            return message_view(await service.message(uow, message_id))

        return await act.read(work)
