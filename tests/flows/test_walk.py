"""The main job, from end to end, through public doors only."""

from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver


async def test_sold_paid_delivered_and_checked_in(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """A ticket is sold, paid, issued, delivered and checked in once; its webhooks verify."""
    api = tenant.api
    endpoint = await api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["*"]})
    sale = await temula.sale(tenant, prices=(5000, 2500))
    attendees = [{"ticket_type_id": one["id"], "name": f"Guest {n}"} for n, one in enumerate(sale.types)]
    registration = await api.post(
        "/registrations",
        {"event_id": sale.event["id"], "buyer": {"name": "Aisyah", "email": "a@example.org"}, "attendees": attendees},
    )
    await temula.pay(registration)

    async def issued() -> list:
        return await api.every(f"/tickets?event_id={sale.event['id']}")

    tickets = await until(issued)
    assert len(tickets) == 2

    async def told() -> bool:
        return len(hooks.of("ticket.issued")) == 2

    await until(told)
    assert all(arrival.verified_by(endpoint["secret"]) for arrival in hooks.arrivals)
    print(hooks.types, tickets[0])
