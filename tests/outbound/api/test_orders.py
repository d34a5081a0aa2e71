"""Registrations, attendees, payments and refunds through the API."""

from typing import Any

import pytest

from tests.harness.house import Running, Sale, Tenant, until


def order(sale: Sale, *names: str, **more: Any) -> dict[str, Any]:
    """An order of one ticket of the first type for each name."""
    seats = [{"ticket_type_id": sale.types[0]["id"], "name": name, "email": f"{name}@example.org"} for name in names]
    return {"event_id": sale.event["id"], "buyer": {"name": "Aisyah", "email": "a@example.org"}, "attendees": seats,
            **more}  # fmt: skip


async def paid(temula: Running, tenant: Tenant, registration: dict[str, Any]) -> dict[str, Any]:
    """The registration once it is paid and confirmed."""
    await temula.pay(registration)

    async def confirmed() -> dict[str, Any] | None:
        now = await tenant.api.get(f"/registrations/{registration['id']}")
        return now if now["state"] == "confirmed" else None

    return await until(confirmed)


async def test_a_registration_is_held_and_paid(temula: Running, tenant: Tenant) -> None:
    """Pending with a hold and a page to pay at; confirmed by the payment, with transaction and attendees."""
    sale = await temula.sale(tenant)
    held = await tenant.api.post("/registrations", order(sale, "ali", "bala"))
    assert (held["state"], held["total_amount"], held["currency"]) == ("pending", 10000, "MYR")
    assert held["hold_expires_at"] is not None
    assert [one["name"] for one in held["attendees"]] == ["ali", "bala"]
    (attempt,) = held["payment"]["attempts"]
    assert (attempt["provider"], attempt["state"], attempt["next_action"]["kind"]) == (
        "stripe", "requires_action", "redirect",
    )  # fmt: skip
    done = await paid(temula, tenant, held)
    assert {one["state"] for one in done["attendees"]} == {"confirmed"}
    payment = await tenant.api.get(f"/payments/{done['payment']['id']}")
    assert (payment["state"], payment["captured"], payment["refunded"]) == ("succeeded", 10000, 0)
    (transaction,) = payment["transactions"]
    assert (transaction["state"], transaction["amount"], transaction["currency"]) == ("succeeded", 10000, "MYR")
    (listed,) = await tenant.api.every(f"/payments?registration_id={done['id']}")
    assert payment == {**listed, "attempts": payment["attempts"], "transactions": [transaction]}
    assert done["payment"] == {**listed, "attempts": payment["attempts"]}
    assert await tenant.api.every("/payments?registration_id=reg_x") == []


async def test_what_costs_nothing_is_confirmed_at_once(temula: Running, tenant: Tenant) -> None:
    """A free ticket needs no payment; name and email address left out are the buyer's."""
    sale = await temula.sale(tenant, prices=(0,))
    seats = [{"ticket_type_id": sale.types[0]["id"]}]
    made = await tenant.api.post("/registrations", {**order(sale), "attendees": seats})
    assert (made["state"], made["payment"], made["hold_expires_at"]) == ("confirmed", None, None)
    assert (made["attendees"][0]["name"], made["attendees"][0]["email"]) == ("Aisyah", "a@example.org")


async def test_a_total_has_a_limit(temula: Running, tenant: Tenant) -> None:
    """Prices that add up to more than a JSON number carries are refused before anything is held."""
    sale = await temula.sale(tenant, prices=(2**53 - 1,))
    refused = await tenant.api.call("POST", "/registrations", order(sale, "ali", "bala"))
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/attendees")
    assert (await tenant.api.get(f"/ticket-types/{sale.types[0]['id']}"))["taken"] == 0


async def test_tickets_are_refused_by_name(temula: Running, tenant: Tenant) -> None:
    """Sold out, not on sale yet or any more, not published, not of this event, not there."""
    api, sale = tenant.api, await temula.sale(tenant, prices=(0, 0), quota=1)
    other = await temula.sale(tenant, prices=(0,))
    await api.post("/registrations", order(sale, "ali"))
    sold_out = await api.call("POST", "/registrations", order(sale, "bala"))
    assert (sold_out.status, sold_out.code) == (409, "sold_out")
    assert sold_out.json["extra"] == {"ticket_type_id": sale.types[0]["id"], "available": 0}
    second = {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"},
              "attendees": [{"ticket_type_id": sale.types[1]["id"]}]}  # fmt: skip
    for window in ({"sale_starts_at": "2199-01-01T00:00:00Z"},
                   {"sale_starts_at": None, "sale_ends_at": "2020-01-01T00:00:00Z"}):  # fmt: skip
        await api.patch(f"/ticket-types/{sale.types[1]['id']}", window)
        closed = await api.call("POST", "/registrations", second)
        assert (closed.status, closed.code) == (409, "not_on_sale")
    for event, kind in ((sale.event["id"], other.types[0]["id"]), (sale.event["id"], "tt_x")):
        strange = {**second, "event_id": event, "attendees": [{"ticket_type_id": kind}]}
        assert (await api.call("POST", "/registrations", strange)).code == "ticket_type_not_found"
    assert (await api.call("POST", "/registrations", {**second, "event_id": "evt_x"})).code == "event_not_found"
    await api.post(f"/events/{other.event['id']}/archive")
    assert (await api.call("POST", "/registrations", order(other, "ali"))).code == "not_on_sale"


async def test_all_or_none_are_taken(temula: Running, tenant: Tenant) -> None:
    """An order of which one part is sold out takes nothing of the other."""
    sale = await temula.sale(tenant, prices=(0, 0), quota=1)
    kinds = [sale.types[0]["id"], sale.types[1]["id"], sale.types[1]["id"]]
    wanted = {**order(sale), "attendees": [{"ticket_type_id": kind} for kind in kinds]}
    assert (await tenant.api.call("POST", "/registrations", wanted)).code == "sold_out"
    assert [(await tenant.api.get(f"/ticket-types/{one['id']}"))["taken"] for one in sale.types] == [0, 0]


async def test_without_a_provider_only_free_tickets_are_sold(temula: Running) -> None:
    """An organization that has connected no provider is told so when money is due."""
    tenant = await temula.tenant(connected=False)
    sale = await temula.sale(tenant, prices=(100,))
    refused = await tenant.api.call("POST", "/registrations", order(sale, "ali"))
    assert (refused.status, refused.code) == (409, "no_connection")
    assert (await tenant.api.get(f"/ticket-types/{sale.types[0]['id']}"))["taken"] == 0


async def test_a_cancelled_registration_gives_its_tickets_back(temula: Running, tenant: Tenant) -> None:
    """Cancelled with its reason once, its tickets on sale again; a second time is refused."""
    sale = await temula.sale(tenant, quota=1)
    held = await tenant.api.post("/registrations", order(sale, "ali"))
    path = f"/registrations/{held['id']}"
    gone = await tenant.api.post(f"{path}/cancel", {"reason": "changed my mind"})
    assert (gone["state"], gone["cancelled_reason"]) == ("cancelled", "changed my mind")
    again = await tenant.api.call("POST", f"{path}/cancel", {})
    assert (again.status, again.code) == (409, "registration_state")
    assert (await tenant.api.call("POST", f"{path}/pay", {})).code == "registration_state"
    assert (await tenant.api.get(f"/ticket-types/{sale.types[0]['id']}"))["taken"] == 0


async def test_an_open_payment_is_not_opened_twice(temula: Running, tenant: Tenant) -> None:
    """Another attempt is for a payment that has ended; an open one is used."""
    sale = await temula.sale(tenant)
    held = await tenant.api.post("/registrations", order(sale, "ali"))
    refused = await tenant.api.call("POST", f"/registrations/{held['id']}/pay", {})
    assert refused.status == 409


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/registrations/reg_x", "registration_not_found"),
        ("POST", "/registrations/reg_x/cancel", "registration_not_found"),
        ("POST", "/registrations/reg_x/pay", "registration_not_found"),
        ("GET", "/attendees/att_x", "attendee_not_found"),
        ("PATCH", "/attendees/att_x", "attendee_not_found"),
        ("GET", "/payments/pay_x", "payment_not_found"),
        ("GET", "/refunds/ref_x", "refund_not_found"),
        ("GET", "/tickets/tkt_x", "ticket_not_found"),
        ("GET", "/tickets/tkt_x/pdf", "ticket_not_found"),
        ("GET", "/tickets/tkt_x/qr", "ticket_not_found"),
        ("POST", "/tickets/tkt_x/void", "ticket_not_found"),
        ("GET", "/checkpoints/gate_x", "checkpoint_not_found"),
        ("GET", "/check-ins/chk_x", "check_in_not_found"),
        ("POST", "/check-ins/chk_x/undo", "check_in_not_found"),
    ],
)
async def test_what_is_not_there_says_what(tenant: Tenant, method: str, path: str, code: str) -> None:
    """404 with a code of its own for each kind."""
    answer = await tenant.api.call(method, path, {} if method != "GET" else None)
    assert (answer.status, answer.code) == (404, code)


async def test_an_attendee_is_corrected(temula: Running, tenant: Tenant) -> None:
    """Name and email address change each by itself; lists narrow to an event."""
    sale, other = await temula.sale(tenant, prices=(0,)), await temula.sale(tenant, prices=(0,))
    made = await tenant.api.post("/registrations", order(sale, "ali", "bala"))
    await tenant.api.post("/registrations", order(other, "chong"))
    path = f"/attendees/{made['attendees'][0]['id']}"
    assert (await tenant.api.patch(path, {"name": "Ali bin Abu"}))["email"] == "ali@example.org"
    changed = await tenant.api.patch(path, {"email": "ali@example.com"})
    assert await tenant.api.get(path) == changed
    assert (changed["name"], changed["email"]) == ("Ali bin Abu", "ali@example.com")
    bad = await tenant.api.call("PATCH", path, {"email": "nobody"})
    assert bad.json["errors"][0]["pointer"] == "/email"
    names = [one["name"] for one in await tenant.api.every(f"/attendees?event_id={sale.event['id']}", 1)]
    assert names == ["bala", "Ali bin Abu"]
    assert len(await tenant.api.every("/attendees")) == 3
    assert len(await tenant.api.every(f"/registrations?event_id={sale.event['id']}")) == 1


async def test_refunds_in_parts_and_whole(temula: Running, tenant: Tenant) -> None:
    """For one attendee, an amount, and all that is left; never more than was captured."""
    sale = await temula.sale(tenant)
    done = await paid(temula, tenant, await tenant.api.post("/registrations", order(sale, "ali", "bala", "chong")))
    of = {"registration_id": done["id"]}
    first = await tenant.api.post("/refunds", {**of, "attendee_ids": [done["attendees"][0]["id"]], "reason": "ill"})
    assert (first["amount"], first["currency"], first["reason"]) == (5000, "MYR", "ill")

    async def settled() -> bool:
        return (await tenant.api.get(f"/refunds/{first['id']}"))["state"] == "succeeded"

    await until(settled)
    again = await tenant.api.call("POST", "/refunds", {**of, "attendee_ids": [done["attendees"][0]["id"]]})
    assert (again.status, again.code) == (409, "registration_state")
    both = await tenant.api.call("POST", "/refunds", {**of, "attendee_ids": ["att_x"], "amount": 1})
    assert both.json["errors"][0]["pointer"] == "/amount"
    too_much = await tenant.api.call("POST", "/refunds", {**of, "amount": 10001})
    assert (too_much.status, too_much.code) == (409, "not_refundable")
    assert (await tenant.api.post("/refunds", {**of, "amount": 1}))["amount"] == 1
    rest = await tenant.api.post("/refunds", of)
    assert rest["amount"] == 9999

    async def whole() -> bool:
        return (await tenant.api.get(f"/registrations/{done['id']}"))["state"] == "refunded"

    await until(whole)
    assert len(await tenant.api.every(f"/refunds?registration_id={done['id']}", 1)) == 3
    nothing = await tenant.api.call("POST", "/refunds", of)
    assert nothing.status == 409


async def test_what_was_not_paid_is_not_refunded(temula: Running, tenant: Tenant) -> None:
    """A pending or unknown registration holds no money."""
    sale = await temula.sale(tenant)
    held = await tenant.api.post("/registrations", order(sale, "ali"))
    refused = await tenant.api.call("POST", "/refunds", {"registration_id": held["id"]})
    assert (refused.status, refused.code) == (409, "registration_state")
    assert (await tenant.api.call("POST", "/refunds", {"registration_id": "x"})).code == "registration_not_found"
