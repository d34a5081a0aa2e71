"""Tickets, checkpoints and check-ins through the API."""

from typing import Any, NamedTuple

import pytest

from tests.harness.house import Running, Sale, Tenant, until
from tests.outbound.api.test_orders import order


class Admission(NamedTuple):
    """A sale with its tickets, newest first."""

    sale: Sale
    tickets: list[dict[str, Any]]


async def issued(temula: Running, tenant: Tenant, *names: str) -> Admission:
    """Free tickets, so that nobody waits for a payment."""
    sale = await temula.sale(tenant, prices=(0,))
    await tenant.api.post("/registrations", order(sale, *names))

    async def there() -> list[dict[str, Any]]:
        found = await tenant.api.every(f"/tickets?event_id={sale.event['id']}", 1)
        return found if len(found) == len(names) else []

    return Admission(sale, await until(there))


async def test_a_ticket_is_shown_as_json_pdf_and_qr(temula: Running, tenant: Tenant) -> None:
    """One ticket for each attendee, as data, as a page and as a picture, all of it private."""
    sale, tickets = await issued(temula, tenant, "ali", "bala")
    assert {one["state"] for one in tickets} == {"issued"}
    attendees = await tenant.api.every(f"/attendees?event_id={sale.event['id']}")
    assert {one["attendee_id"] for one in tickets} == {one["id"] for one in attendees}
    ticket = tickets[0]
    assert await tenant.api.get(f"/tickets/{ticket['id']}") == ticket
    by_registration = await tenant.api.every(f"/tickets?registration_id={ticket['registration_id']}")
    assert len(by_registration) == 2
    pdf = await tenant.api.call("GET", f"/tickets/{ticket['id']}/pdf")
    assert (pdf.status, pdf.headers["content-type"], pdf.body[:5]) == (200, "application/pdf", b"%PDF-")
    qr = await tenant.api.call("GET", f"/tickets/{ticket['id']}/qr")
    assert (qr.headers["content-type"].partition(";")[0], b"<svg" in qr.body) == ("image/svg+xml", True)
    assert {one.headers["cache-control"] for one in (pdf, qr)} == {"private, no-store"}


async def test_a_ticket_admits_once(temula: Running, tenant: Tenant) -> None:
    """Valid, admitted, then refused with who, when and where; looking at a code admits nobody."""
    sale, (ticket,) = await issued(temula, tenant, "ali")
    api, code = tenant.api, {"code": ticket["code"]}
    for _ in range(2):
        seen = await api.post("/tickets/validate", code)
        assert (seen["valid"], seen["reason"], seen["ticket"]["id"], seen["check_in"]) == (
            True, None, ticket["id"], None,
        )  # fmt: skip
    entry = await api.post("/check-ins", {**code, "checkpoint_id": sale.gate["id"]})
    assert (entry["ticket_id"], entry["method"], entry["undone_at"]) == (ticket["id"], "qr", None)
    refused = await api.call("POST", "/check-ins", {**code, "checkpoint_id": sale.gate["id"]})
    assert (refused.status, refused.code) == (409, "ticket_already_used")
    assert refused.json["type"] == "/api/problems#ticket_already_used"
    first = refused.json["extra"]["first"]
    assert (first["check_in_id"], first["location"], first["actor"]) == (entry["id"], "Gate A", entry["actor"])
    seen = await api.post("/tickets/validate", code)
    assert (seen["valid"], seen["reason"], seen["check_in"]["id"]) == (False, "ticket_already_used", entry["id"])
    attendee = await api.get(f"/attendees/{ticket['attendee_id']}")
    assert attendee["first_checked_in_at"] == entry["at"]


async def test_an_undone_check_in_admits_once_more(temula: Running, tenant: Tenant) -> None:
    """Undo is for mistakes: once, kept in the list, and the ticket admits again, by hand too."""
    sale, (ticket,) = await issued(temula, tenant, "ali")
    by_hand = {"ticket_id": ticket["id"], "checkpoint_id": sale.gate["id"]}
    entry = await tenant.api.post("/check-ins", by_hand)
    assert entry["method"] == "manual"
    undone = await tenant.api.post(f"/check-ins/{entry['id']}/undo")
    assert undone["undone_at"] is not None
    again = await tenant.api.call("POST", f"/check-ins/{entry['id']}/undo", {})
    assert (again.status, again.code) == (409, "check_in_undone")
    second = await tenant.api.post("/check-ins", by_hand)
    listed = await tenant.api.every(f"/check-ins?event_id={sale.event['id']}", 1)
    assert [one["id"] for one in listed] == [second["id"], entry["id"]]
    assert await tenant.api.get(f"/check-ins/{entry['id']}") == undone


async def test_a_void_ticket_admits_nobody(temula: Running, tenant: Tenant) -> None:
    """Voided with its reason, twice without harm; its code is refused by that name everywhere."""
    sale, (ticket,) = await issued(temula, tenant, "ali")
    for _ in range(2):
        void = await tenant.api.post(f"/tickets/{ticket['id']}/void", {"reason": "stolen"})
        assert (void["state"], void["void_reason"]) == ("void", "stolen")
    seen = await tenant.api.post("/tickets/validate", {"code": ticket["code"]})
    assert (seen["valid"], seen["reason"]) == (False, "ticket_void")
    scan = {"code": ticket["code"], "checkpoint_id": sale.gate["id"]}
    refused = await tenant.api.call("POST", "/check-ins", scan)
    assert (refused.status, refused.code) == (409, "ticket_void")


async def test_codes_that_are_not_ours(temula: Running, tenant: Tenant) -> None:
    """Text, another organization's code, and a forged one are refused by name, with nothing told of a ticket."""
    sale, (ticket,) = await issued(temula, tenant, "ali")
    other = await temula.tenant(connected=False)
    _, (theirs,) = await issued(temula, other, "bala")
    at = len(ticket["code"]) - 5
    forged = ticket["code"][:at] + ("A" if ticket["code"][at] != "A" else "B") + ticket["code"][at + 1 :]
    for code in ("hello", theirs["code"], forged):
        seen = await tenant.api.post("/tickets/validate", {"code": code})
        assert (seen["valid"], seen["ticket"]) == (False, None)
        refused = await tenant.api.call("POST", "/check-ins", {"code": code, "checkpoint_id": sale.gate["id"]})
        assert (refused.status, refused.code) == (409, seen["reason"])


async def test_a_ticket_of_another_event_is_refused(temula: Running, tenant: Tenant) -> None:
    """A gate admits to its own event."""
    _, (ticket,) = await issued(temula, tenant, "ali")
    elsewhere = await temula.sale(tenant, prices=(0,))
    scan = {"code": ticket["code"], "checkpoint_id": elsewhere.gate["id"]}
    assert (await tenant.api.call("POST", "/check-ins", scan)).code == "wrong_event"


async def test_a_refused_scan_is_answered_the_same_again(temula: Running, tenant: Tenant) -> None:
    """A gate that lost the answer repeats under its key and learns what it would have learnt, as a problem."""
    sale, (ticket,) = await issued(temula, tenant, "ali")
    scan = {"code": ticket["code"], "checkpoint_id": sale.gate["id"]}
    entry = await tenant.api.post("/check-ins", scan, key="one")
    assert await tenant.api.post("/check-ins", scan, key="one") == entry
    refused = [await tenant.api.call("POST", "/check-ins", scan, headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert [one.code for one in refused] == ["ticket_already_used"] * 2
    assert refused[0].body == refused[1].body


@pytest.mark.parametrize("scan", [{}, {"code": "x", "ticket_id": "y"}])
async def test_a_scan_names_one_thing(temula: Running, tenant: Tenant, scan: dict[str, str]) -> None:
    """Either the code or, by hand, the ticket."""
    sale = await temula.sale(tenant)
    answer = await tenant.api.call("POST", "/check-ins", {**scan, "checkpoint_id": sale.gate["id"]})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/code")


async def test_checkpoints(temula: Running, tenant: Tenant) -> None:
    """Gates of an event have names of their own; a scan needs one that is there."""
    sale, (ticket,) = await issued(temula, tenant, "ali")
    gate = await tenant.api.post("/checkpoints", {"event_id": sale.event["id"], "name": "Gate B"})
    assert await tenant.api.get(f"/checkpoints/{gate['id']}") == gate
    names = [one["name"] for one in await tenant.api.every(f"/checkpoints?event_id={sale.event['id']}", 1)]
    assert names == ["Gate B", "Gate A"]
    twice = await tenant.api.call("POST", "/checkpoints", {"event_id": sale.event["id"], "name": "Gate B"})
    assert (twice.status, twice.code) == (409, "checkpoint_exists")
    nowhere = await tenant.api.call("POST", "/checkpoints", {"event_id": "evt_x", "name": "G"})
    assert nowhere.code == "event_not_found"
    scan = await tenant.api.call("POST", "/check-ins", {"code": ticket["code"], "checkpoint_id": "gate_x"})
    assert (scan.status, scan.code) == (404, "checkpoint_not_found")
