"""One call of Stripe's API: who calls, with what, and the tools that an operation needs to answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.payments.stripe.errors import Json, Refusal, not_found
from emulators.payments.stripe.forms import Fields
from emulators.payments.stripe.store import Row, Store

API_VERSION = "2026-10-28.endive"
NOUNS = {"checkout.session": "checkout.session", "payment_intent": "payment_intent", "webhook_endpoint": "webhook"}


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation is given; it runs inside one transaction and never waits."""

    store: Store
    account: str
    now: int
    base_url: str
    fields: Fields = field(default_factory=lambda: Fields({}))
    id: str = ""
    request_id: str | None = None
    key: str | None = None

    def find(self, kind: str, id_: str, *, param: str = "id") -> Json:
        found = self.store.get(self.account, kind, id_)
        if found is None:
            # A wrong id in the path is 404, in a parameter it is 400.
            raise not_found(NOUNS.get(kind, kind), id_, param, status=404 if param == "id" else 400)
        return found

    def hidden(self, kind: str, id_: str) -> Json:
        row: Row | None = self.store.row(kind, id_)
        return {} if row is None else row.hidden


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers; an error answer that commits, such as a declined card, is one too."""

    body: Json
    status: int = 200


Operation = Callable[[Call], Answer]
PAGING = ("limit", "starting_after", "ending_before", "expand", "created")


def page(call: Call, kind: str, url: str, *equal: str, more: tuple[tuple[str, object], ...] = ()) -> Json:
    """A list as Stripe pages it; see https://docs.stripe.com/api/pagination."""
    fields = call.fields
    filters: list[tuple[str, object]] = [*more]
    filters += [(name, value) for name in equal if (value := fields.text(name)) is not None]
    filters += _created(fields)
    for param, name in (("starting_after", "after"), ("ending_before", "before")):
        if (cursor := fields.text(param)) is not None:
            call.find(kind, cursor, param=param)
            filters.append((name, cursor))
    limit = fields.integer("limit", least=1, most=100) or 10
    data, has_more = call.store.page(call.account, kind, filters, limit)
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def _created(fields: Fields) -> list[tuple[str, object]]:
    if isinstance(fields.values.get("created"), str):
        exact = fields.integer("created")
        return [("created_gte", exact), ("created_lte", exact)]
    span = fields.nested("created")
    if span is None:
        return []
    span.only("gt", "gte", "lt", "lte")
    return [(f"created_{name}", span.integer(name)) for name in span.values]


def expandable(field_name: str) -> Refusal:
    return Refusal(f"This property cannot be expanded ({field_name}).", param="expand")
