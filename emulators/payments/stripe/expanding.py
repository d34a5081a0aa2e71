"""Replaces ids by their objects where a caller asks to; see https://docs.stripe.com/api/expanding_objects."""

from emulators.payments.stripe.calls import Call, expandable
from emulators.payments.stripe.errors import Json

KINDS = {
    "pi_": "payment_intent",
    "ch_": "charge",
    "re_": "refund",
    "cus_": "customer",
    "txn_": "balance_transaction",
}
EXPANDABLE = {"payment_intent", "latest_charge", "charge", "customer", "balance_transaction", "source"}
EXPANDABLE |= {"failure_balance_transaction"}
DEEPEST = 4


def expand(call: Call, body: Json) -> Json:
    for path in call.fields.texts("expand"):
        steps = path.split(".")
        if len(steps) > DEEPEST + (steps[0] == "data"):
            raise expandable(path)
        if steps[0] == "data" and body.get("object") == "list":
            for item in body["data"]:
                _expand(call, item, steps[1:], path)
        else:
            _expand(call, body, steps, path)
    return body


def _expand(call: Call, body: Json, steps: list[str], path: str) -> None:
    if not steps:
        return
    name = steps[0]
    if name == "line_items" and body["object"] == "checkout.session":
        body[name] = line_items(call, body["id"])
        return
    if name == "refunds" and body["object"] == "charge":
        body[name] = refunds_of(call, body["id"])
        return
    if name not in EXPANDABLE or name not in body:
        raise expandable(path)
    value = body[name]
    if isinstance(value, str):
        kind = KINDS.get(value[: value.index("_") + 1], "")
        value = body[name] = call.store.get(call.account, kind, value) or value
    if isinstance(value, dict):
        _expand(call, value, steps[1:], path)


def line_items(call: Call, session_id: str) -> Json:
    items = call.hidden("checkout.session", session_id).get("line_items", [])
    url = f"/v1/checkout/sessions/{session_id}/line_items"
    return {"object": "list", "url": url, "has_more": False, "data": items}


def refunds_of(call: Call, charge_id: str) -> Json:
    data, has_more = call.store.page(call.account, "refund", [("charge", charge_id)], 10)
    return {"object": "list", "url": f"/v1/charges/{charge_id}/refunds", "has_more": has_more, "data": data}
