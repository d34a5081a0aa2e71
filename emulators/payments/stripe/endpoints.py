"""The webhook endpoints of https://docs.stripe.com/api/webhook_endpoints; a secret is shown once, when it is made."""

from emulators.payments.stripe import outbox
from emulators.payments.stripe.calls import API_VERSION, PAGING, Answer, Call, page
from emulators.payments.stripe.errors import Json, Refusal, missing, unsupported
from emulators.payments.stripe.event_types import is_type
from emulators.payments.stripe.expanding import expand
from emulators.payments.stripe.ids import new_id

MOST = 16  # https://docs.stripe.com/webhooks: "You can register up to 16 webhook endpoints"


def create(call: Call) -> Answer:
    fields = call.fields
    fields.only("api_version", "connect", "description", "enabled_events", "expand", "metadata", "url")
    if fields.flag("connect"):
        raise unsupported("connect", "Connect webhooks")
    url = fields.url("url")
    if url is None:
        raise missing("url")
    if len(call.store.everything(call.account, "webhook_endpoint")) >= MOST:
        raise Refusal(f"You have reached the maximum of {MOST} test webhook endpoints.", kept=True)
    endpoint: Json = {
        "id": new_id("we_"),
        "object": "webhook_endpoint",
        "api_version": fields.text("api_version"),
        "application": None,
        "created": call.now,
        "description": fields.text("description"),
        "enabled_events": _enabled_events(call),
        "livemode": False,
        "metadata": fields.metadata(),
        "status": "enabled",
        "url": url,
    }
    if endpoint["api_version"] not in {None, API_VERSION}:
        raise Refusal(f"Invalid API version: this stand-in speaks {API_VERSION}.", param="api_version")
    secret = new_id("whsec_")
    call.store.add(call.account, endpoint, {"secret": secret})
    return Answer({**endpoint, "secret": secret})


def _enabled_events(call: Call) -> list[str]:
    wanted = call.fields.texts("enabled_events")
    if not wanted:
        raise missing("enabled_events")
    for name in wanted:
        if name != "*" and not is_type(name):
            raise Refusal(f"Invalid enabled_events: {name} is not a known event type", param="enabled_events")
    return wanted


def retrieve(call: Call) -> Answer:
    call.fields.only("expand")
    return Answer(call.find("webhook_endpoint", call.id))


def update(call: Call) -> Answer:
    fields = call.fields
    fields.only("description", "disabled", "enabled_events", "expand", "metadata", "url")
    endpoint = call.find("webhook_endpoint", call.id)
    if fields.has("description"):
        endpoint["description"] = fields.text("description")
    if fields.has("enabled_events"):
        endpoint["enabled_events"] = _enabled_events(call)
    if (disabled := fields.flag("disabled")) is not None:
        endpoint["status"] = "disabled" if disabled else "enabled"
    endpoint |= {"url": fields.url("url") or endpoint["url"], "metadata": fields.metadata(endpoint["metadata"])}
    call.store.save(endpoint)
    return Answer(endpoint)


def delete(call: Call) -> Answer:
    endpoint = call.find("webhook_endpoint", call.id)
    call.store.remove(endpoint["id"])
    outbox.drop_endpoint(call.store, endpoint["id"])
    return Answer({"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True})


def listing(call: Call) -> Answer:
    call.fields.only(*PAGING)
    return Answer(expand(call, page(call, "webhook_endpoint", "/v1/webhook_endpoints")))
