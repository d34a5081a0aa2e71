"""The main job from end to end, through public doors only: what is answered, and what is told to a webhook endpoint."""

import json
from collections import Counter
from datetime import datetime

from temula.kernel.clock import rfc3339
from temula.operations.auditing import verify
from tests.flows.walk import MESSAGES, PRICES, Walk
from tests.harness.schemas import check


def told(at: str) -> str:
    """A time of an answer (to the microsecond) as messages tell it (to the millisecond)."""
    return rfc3339(datetime.fromisoformat(at))


async def only(walk: Walk, type_: str) -> dict:
    """The data of the one message of its type."""
    (data,) = await walk.heard(type_)
    return data


async def by_attendee(walk: Walk, type_: str) -> list[dict]:
    """The data of one message an attendee, in the order of the attendees."""
    found = {data["attendee_id"]: data for data in await walk.heard(type_)}
    return [found[attendee["id"]] for attendee in walk.registration["attendees"]]


async def test_exactly_these_messages_arrive(walk: Walk) -> None:
    """Each act tells what it must, once; nothing else is told."""
    for type_ in MESSAGES:
        await walk.heard(type_)
    assert Counter(walk.hooks.types) == MESSAGES
    assert len({arrival.id for arrival in walk.hooks.arrivals}) == sum(MESSAGES.values())


async def test_each_message_verifies_in_both_ways(walk: Walk) -> None:
    """`X-Temula-Signature` and the Standard Webhooks headers both fit the bytes that came."""
    assert all(arrival.verified_by(walk.endpoint["secret"]) for arrival in walk.hooks.arrivals)


async def test_each_message_comes_in_the_same_envelope(walk: Walk) -> None:
    """The envelope's fields, and bytes that are what JSON.stringify(JSON.parse(body)) gives."""
    for arrival in walk.hooks.arrivals:
        assert list(arrival.message) == ["event_id", "event_type", "timestamp", "organization_id", "team_id", "data"]
        assert arrival.message["event_id"] == arrival.headers["webhook-id"]
        assert arrival.message["organization_id"] == walk.tenant.id
        assert arrival.message["team_id"] == walk.team_id
        assert datetime.fromisoformat(arrival.message["timestamp"]).tzinfo is not None
        compact = json.dumps(arrival.message, ensure_ascii=False, separators=(",", ":"))
        assert arrival.body == compact.encode()


async def test_each_message_fits_its_schema(walk: Walk) -> None:
    """What arrived is as the JSON Schema of its type is published, for every type that the main job tells."""
    for arrival in walk.hooks.arrivals:
        check(arrival.message)


async def test_event_published(walk: Walk) -> None:
    """event.published: event_id, starts_at, visibility."""
    assert await only(walk, "event.published") == {
        "event_id": walk.event["id"],
        "starts_at": told(walk.event["starts_at"]),
        "visibility": "unlisted",
    }


async def test_registration_created(walk: Walk) -> None:
    """registration.created: the first attendee and all of them, the whole amount and its currency."""
    first, second = await walk.heard("registration.created")
    attendee_ids = [attendee["id"] for attendee in walk.registration["attendees"]]
    assert first == {
        "registration_id": walk.registration["id"],
        "event_id": walk.event["id"],
        "attendee_id": attendee_ids[0],
        "attendee_ids": attendee_ids,
        "total_amount": sum(PRICES),
        "currency": "MYR",
    }
    assert second["registration_id"] == walk.cancelled["id"]
    assert second["total_amount"] == PRICES[0]


async def test_payment_failed(walk: Walk) -> None:
    """payment.failed: why the card was refused, and how many refusals came before."""
    declines = await walk.heard("payment.failed")
    transactions = {one["id"] for one in await transactions_of(walk) if one["state"] == "failed"}
    assert {one["transaction_id"] for one in declines} == transactions
    for number, data in enumerate(sorted(declines, key=lambda one: one["retry_count"])):
        assert data == {
            "transaction_id": data["transaction_id"],
            "registration_id": walk.registration["id"],
            "reason": "generic_decline",
            "retry_count": number,
        }


async def test_payment_succeeded(walk: Walk) -> None:
    """payment.succeeded: the transaction, the amount, who took it, and their reference."""
    (charge,) = [one for one in await transactions_of(walk) if (one["kind"], one["state"]) == ("charge", "succeeded")]
    assert await only(walk, "payment.succeeded") == {
        "transaction_id": charge["id"],
        "registration_id": walk.registration["id"],
        "amount": sum(PRICES),
        "currency": "MYR",
        "gateway": "stripe",
        "reference": charge["reference"],
    }
    assert charge["reference"].startswith("pi_")


async def test_ticket_issued(walk: Walk) -> None:
    """ticket.issued: the ticket, its attendee and where its QR code is."""
    for ticket, data in zip(walk.tickets, await by_attendee(walk, "ticket.issued"), strict=True):
        assert data == {
            "ticket_instance_id": ticket["id"],
            "event_id": walk.event["id"],
            "attendee_id": ticket["attendee_id"],
            "qr_code_url": f"{walk.temula.base_url}/api/v1/tickets/{ticket['id']}/qr",
        }


async def test_tickets_are_a_code_and_a_page(walk: Walk) -> None:
    """Each ticket has a PDF and a QR code; its signed code validates, and a changed one does not."""
    assert all(pdf.startswith(b"%PDF") for pdf in walk.pdfs)
    assert all(code.headers["content-type"].startswith("image/svg+xml") for code in walk.codes)
    for ticket, seen in zip(walk.tickets, walk.valid, strict=True):
        assert (seen["valid"], seen["reason"], seen["ticket"]["id"]) == (True, None, ticket["id"])
        assert seen["check_in"] is None
    code = walk.tickets[0]["code"]
    forged = code[:-1] + ("0" if code[-1] != "0" else "1")
    assert (await walk.api.post("/tickets/validate", {"code": forged}))["valid"] is False


async def test_check_in_completed(walk: Walk) -> None:
    """check_in.completed: who, when, where, with which ticket and how."""
    for check_in, data in zip(walk.check_ins, await by_attendee(walk, "check_in.completed"), strict=True):
        assert data == {
            "event_id": walk.event["id"],
            "attendee_id": check_in["attendee_id"],
            "check_in_time": told(check_in["at"]),
            "location": "Gate A",
            "ticket_id": check_in["ticket_id"],
            "method": "qr",
        }


async def test_attendee_checked_in(walk: Walk) -> None:
    """attendee.checked_in: the attendee's first entry."""
    for check_in, data in zip(walk.check_ins, await by_attendee(walk, "attendee.checked_in"), strict=True):
        assert data == {
            "event_id": walk.event["id"],
            "attendee_id": check_in["attendee_id"],
            "checked_in_at": told(check_in["at"]),
        }


async def test_the_second_scan_is_refused_with_who_and_when(walk: Walk) -> None:
    """The refusal names the check-in that stands: its time, its gate and who scanned."""
    first = walk.check_ins[0]
    assert walk.refused["extra"]["first"] == {
        "check_in_id": first["id"],
        "at": told(first["at"]),
        "location": "Gate A",
        "actor": first["actor"],
    }
    assert first["actor"].startswith("tok_")
    assert (walk.used["valid"], walk.used["reason"]) == (False, "ticket_already_used")
    assert walk.used["check_in"] == first
    assert len(await walk.api.every(f"/check-ins?event_id={walk.event['id']}")) == 2


async def test_registration_refunded(walk: Walk) -> None:
    """registration.refunded: how much of it went back, and why; the rest stays."""
    assert await only(walk, "registration.refunded") == {
        "registration_id": walk.registration["id"],
        "event_id": walk.event["id"],
        "amount": PRICES[1],
        "currency": "MYR",
        "reason": "ill",
    }
    assert (walk.refund["state"], walk.refund["amount"]) == ("succeeded", PRICES[1])
    registration = await walk.api.get(f"/registrations/{walk.registration['id']}")
    assert [one["state"] for one in registration["attendees"]] == ["confirmed", "refunded"]
    assert (registration["payment"]["captured"], registration["payment"]["refunded"]) == (sum(PRICES), PRICES[1])


async def test_ticket_void(walk: Walk) -> None:
    """ticket.void: by the refund of its attendee, and by the organizer's word."""
    for ticket, data, reason in zip(
        walk.tickets, await by_attendee(walk, "ticket.void"), ("copied", "refunded"), strict=True
    ):
        assert data == {
            "ticket_instance_id": ticket["id"],
            "event_id": walk.event["id"],
            "attendee_id": ticket["attendee_id"],
            "reason": reason,
        }
        assert (await walk.api.post("/tickets/validate", {"code": ticket["code"]}))["reason"] == "ticket_void"


async def test_registration_cancelled(walk: Walk) -> None:
    """registration.cancelled: which one and why; its tickets are on sale again."""
    assert await only(walk, "registration.cancelled") == {
        "registration_id": walk.cancelled["id"],
        "event_id": walk.event["id"],
        "reason": "changed plans",
    }
    assert walk.cancelled["state"] == "cancelled"
    taken = [(await walk.api.get(f"/ticket-types/{one['id']}"))["taken"] for one in walk.types]
    assert taken == [1, 0]


async def test_event_updated(walk: Walk) -> None:
    """event.updated: each field that changed, from what to what; a field set to what it was is not among them."""
    before, after = walk.event, walk.edited
    assert await only(walk, "event.updated") == {
        "event_id": walk.event["id"],
        "changes": {
            "name": {"from": "First Night", "to": "Zweite Nacht für Zoë 🎫"},
            "starts_at": {"from": told(before["starts_at"]), "to": told(after["starts_at"])},
            "ends_at": {"from": told(before["ends_at"]), "to": told(after["ends_at"])},
        },
    }


async def test_event_archived(walk: Walk) -> None:
    """event.archived: when."""
    assert await only(walk, "event.archived") == {
        "event_id": walk.event["id"],
        "archived_at": told(walk.archived["updated_at"]),
    }


async def transactions_of(walk: Walk) -> list[dict]:
    payment = await walk.api.get(f"/payments/{walk.registration['payment']['id']}")
    return payment["transactions"]


async def test_our_ledger_agrees_with_stripes(walk: Walk) -> None:
    """What Stripe took, refused and gave back is what our transactions say, reference by reference."""
    stripe = walk.temula.stripe(walk.tenant)
    charges = (await stripe.v1.charges.list_async()).data
    refunds = (await stripe.v1.refunds.list_async()).data
    theirs = [(str(one.payment_intent), "charge", one.status, one.amount, one.currency.upper()) for one in charges]
    theirs += [(one.id, "refund", str(one.status), one.amount, one.currency.upper()) for one in refunds]
    ours = [
        (one["reference"], one["kind"], one["state"], one["amount"], one["currency"])
        for one in await transactions_of(walk)
    ]
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == 4


async def test_the_audit_chain_holds(walk: Walk) -> None:
    """Every act is in the organization's audit chain, and the chain verifies."""
    chains = {chain.organization_id: chain for chain in await verify(walk.temula.house.database)}
    chain = chains[walk.tenant.id]
    assert chain.broken_at is None
    assert chain.entries > sum(MESSAGES.values())
