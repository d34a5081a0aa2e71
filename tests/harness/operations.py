"""The operations of the API as its OpenAPI document lists them, with a valid body for each and the places of ids."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from temula.kernel import ids
from temula.kernel.clock import SystemClock
from tests.harness.api import Api

Ids = Mapping[str, str]
Steps = tuple[str | int, ...]

KINDS: dict[str, ids.Kind[Any]] = {
    "event": ids.EVENT, "ticket_type": ids.TICKET_TYPE, "registration": ids.REGISTRATION, "attendee": ids.ATTENDEE,
    "ticket": ids.TICKET, "checkpoint": ids.CHECKPOINT, "check_in": ids.CHECK_IN, "payment": ids.PAYMENT,
    "refund": ids.REFUND, "endpoint": ids.ENDPOINT, "delivery": ids.DELIVERY, "team": ids.TEAM,
    "message": ids.MESSAGE, "replay": ids.REPLAY, "attempt": ids.DELIVERY_ATTEMPT, "object": ids.REGISTRATION,
}  # fmt: skip
TIMES = {"starts_at": "2030-01-01T10:00:00Z", "ends_at": "2030-01-01T12:00:00Z"}
ORDER = {"buyer": {"name": "Bo", "email": "bo@example.org"}}


def narrowed(i: Ids) -> dict[str, Any]:
    """What an endpoint is narrowed to."""
    partner = {"reference": "caterer", "types": ["ticket.*"], "event_ids": [i["event"]]}
    return {"event_ids": [i["event"]], "team_id": i["team"], "partner": partner}


# A body that is accepted, with an id in every place that takes one; ids are of the kind that their place is named for.
BODIES: dict[str, Callable[[Ids], dict[str, Any]]] = {
    "POST /events": lambda i: {"name": "Gala", "currency": "MYR", "team_id": i["team"], **TIMES},
    "PATCH /events/{event_id}": lambda i: {"name": "Gala", "team_id": i["team"]},
    "POST /events/{event_id}/ticket-types": lambda _: {"name": "Late", "price": 0},
    "PATCH /ticket-types/{ticket_type_id}": lambda _: {"name": "Later"},
    "POST /registrations": lambda i: {
        "event_id": i["event"], "attendees": [{"ticket_type_id": i["ticket_type"]}], **ORDER,
    },
    "POST /registrations/{registration_id}/cancel": lambda _: {},
    "POST /registrations/{registration_id}/pay": lambda _: {},
    "PATCH /attendees/{attendee_id}": lambda _: {"name": "Bo"},
    "POST /tickets/validate": lambda i: {"code": i["code"]},
    "POST /tickets/{ticket_id}/void": lambda _: {},
    "POST /checkpoints": lambda i: {"event_id": i["event"], "name": "Gate B"},
    "POST /check-ins": lambda i: {"checkpoint_id": i["checkpoint"], "ticket_id": i["ticket"]},
    "POST /refunds": lambda i: {"registration_id": i["registration"], "attendee_ids": [i["attendee"]]},
    "POST /webhooks/endpoints": lambda i: {"url": "http://127.0.0.1:9/hooks", **narrowed(i)},
    "PATCH /webhooks/endpoints/{endpoint_id}": narrowed,
    "POST /webhooks/endpoints/{endpoint_id}/pause": lambda _: {"reason": "The CRM moves"},
    "POST /webhooks/endpoints/{endpoint_id}/test": lambda _: {"type": "registration.created"},
    "POST /webhooks/endpoints/{endpoint_id}/rotate-secret": lambda _: {},
    "POST /webhooks/replays": lambda i: {"kind": "filter", "endpoint_id": i["endpoint"], "event_id": i["event"]},
}  # fmt: skip
# Text that leads to a ticket as its id does.
ALSO_IDS = {"code"}


class Place(NamedTuple):
    """Where an operation takes an id: in its path, its query, or (by `steps`) in its body."""

    where: str
    name: str
    steps: Steps = ()

    @property
    def kind(self) -> str:
        return re.sub(r"_ids?$", "", self.name)


class Operation(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    places: tuple[Place, ...]
    takes_body: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def body(self, given: Ids) -> dict[str, Any] | None:
        return BODIES[self.name](given) if self.takes_body else None

    def url(self, given: Ids) -> str:
        return re.sub(r"\{(\w+)_id\}", lambda found: given[found[1]], self.path)


async def operations(api: Api) -> list[Operation]:
    """All of them, from the document as it is served."""
    document = (await api.call("GET", "//api/openapi.json")).json
    schemas = document["components"]["schemas"]
    found = [
        _operation(method.upper(), path.removeprefix("/api/v1"), operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(found) > 45
    return found


def with_id(body: dict[str, Any], place: Place, value: str) -> dict[str, Any]:
    """The body with one of its ids replaced."""
    changed = copy.deepcopy(body)
    *path, last = place.steps
    inner: Any = changed
    for step in path:
        inner = inner[step]
    inner[last] = value
    return changed


def new_ids() -> dict[str, str]:
    """An id of each kind that nothing has."""
    now = SystemClock().now()
    return {name: kind.new(now) for name, kind in KINDS.items()}


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    places = [
        Place(parameter["in"], parameter["name"])
        for parameter in operation.get("parameters", [])
        if parameter["in"] in ("path", "query") and _names_an_id(parameter["name"])
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for media in content.values():
        steps = list(_ids_in(media["schema"], schemas))
        places += [Place("body", str(path[-2] if path[-1] == 0 else path[-1]), path) for path in steps]
    return Operation(method, path, tuple(places), bool(content))


def _names_an_id(name: str) -> bool:
    return bool(re.search(r"(^|_)ids?$", name)) or name in ALSO_IDS


def _ids_in(schema: dict[str, Any], schemas: dict[str, Any], at: Steps = ()) -> Iterator[Steps]:
    """The places of ids in a schema, through its references, alternatives and arrays (their first item)."""
    if reference := schema.get("$ref"):
        yield from _ids_in(schemas[reference.rpartition("/")[2]], schemas, at)
    for one in [*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())]:
        yield from _ids_in(one, schemas, at)
    if "items" in schema:
        if at and _names_an_id(str(at[-1])):
            yield (*at, 0)
        else:
            yield from _ids_in(schema["items"], schemas, (*at, 0))
    for name, inner in schema.get("properties", {}).items():
        if _names_an_id(name) and "array" not in str(inner):
            yield (*at, name)
        else:
            yield from _ids_in(inner, schemas, (*at, name))
