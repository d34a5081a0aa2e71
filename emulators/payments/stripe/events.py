"""What happened, as Stripe tells it: an event is written with the change, and with one delivery a matching endpoint.

See https://docs.stripe.com/api/events.
"""

import copy
import json

from emulators.payments.stripe import outbox
from emulators.payments.stripe.calls import API_VERSION, PAGING, Answer, Call, page
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.expanding import expand
from emulators.payments.stripe.ids import new_id

KEPT_SECONDS = 30 * 24 * 3600  # https://docs.stripe.com/api/events: "We only guarantee access for 30 days"


def emit(call: Call, type_: str, about: Json, before: Json | None = None) -> None:
    """Tells of a change to `about`; `before` holds the attributes that changed, as they were."""
    data: Json = {"object": copy.deepcopy(about)}
    if before:
        data["previous_attributes"] = before
    event: Json = {
        "id": new_id("evt_"),
        "object": "event",
        "api_version": API_VERSION,
        "created": call.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": call.request_id, "idempotency_key": call.key},
        "type": type_,
    }
    call.store.add(call.account, event)
    outbox.enqueue(call.store, call.account, event, call.now)


def retrieve(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(_shown(call, call.find("event", call.id)))


def listing(call: Call) -> Answer:
    fields = call.fields
    fields.only(*PAGING, "type", "types", "delivery_success")
    more: list[tuple[str, object]] = [("created_gte", call.now - KEPT_SECONDS)]
    wanted = [*fields.texts("types"), *([only] if (only := fields.text("type")) else [])]
    if wanted:
        more.append(("types", json.dumps(wanted)))
    if (delivered := fields.flag("delivery_success")) is not None:
        more.append(("delivered", int(delivered)))
    found = page(call, "event", "/v1/events", more=tuple(more))
    found["data"] = [_shown(call, event) for event in found["data"]]
    return Answer(expand(call, found))


def _shown(call: Call, event: Json) -> Json:
    return {**event, "pending_webhooks": outbox.pending(call.store, event["id"])}
