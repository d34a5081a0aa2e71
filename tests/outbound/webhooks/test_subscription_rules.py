"""Which facts an endpoint's subscription is for, rule by rule."""

from datetime import UTC, datetime

import pytest

from temula.kernel.facts import StoredFact
from temula.kernel.ids import EndpointId, MessageId, OrganizationId
from temula.outbound.webhooks.model import EndpointState, OrderBy, Subscription, covers

PLAIN = Subscription(
    OrganizationId("org_1"), EndpointId("whe_1"), EndpointState.ENABLED, ["*"], [], None, None, OrderBy.NONE, None,
    None, None, 10,
)  # fmt: skip
AT = datetime(2026, 11, 23, tzinfo=UTC)


def subscription(**changed: object) -> Subscription:
    fields = {name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}
    return Subscription(**{**fields, **changed})


def fact(
    type_: str = "ticket.issued", *, event: str | None = "evt_1", team: str | None = None, transaction: int = 10,
    organization: str = "org_1", public: bool = True, data: bytes = b"{}",
) -> StoredFact:  # fmt: skip
    return StoredFact(
        transaction, 1, MessageId("msg_1"), OrganizationId(organization), team, event, type_, public, AT, data
    )


@pytest.mark.parametrize(
    ("patterns", "type_", "answer"),
    [
        (["*"], "ticket.issued", True), (["*"], "endpoint.disabled", False),
        (["endpoint.*"], "endpoint.disabled", True),
        (["endpoint.disabled"], "endpoint.disabled", True), (["ticket.*"], "ticket.issued", True),
        (["ticket.*"], "tickets.issued", False), (["ticket.issued"], "ticket.void", False), ([], "ticket.void", False),
    ],
)  # fmt: skip
def test_patterns(patterns: list[str], type_: str, answer: bool) -> None:
    """Exact, a family, or all that happens; of the webhooks' own work only what is named."""
    assert covers(patterns, type_) is answer


def test_what_was_there_before() -> None:
    """An endpoint is not sent what happened before it, but a replay may be asked for it."""
    assert not PLAIN.wants(fact(transaction=9))
    assert PLAIN.matches(fact(transaction=9))
    assert PLAIN.wants(fact(transaction=10))


def test_never_of_another_organization_nor_inside_of_the_house() -> None:
    """However much it asks for."""
    assert not PLAIN.matches(fact(organization="org_2"))
    assert not PLAIN.matches(fact(public=False))


def test_operational_messages_pass_narrowing_by_event_but_no_grant() -> None:
    """They are about no event; a partner gets them only if all events were granted; nobody hears of themselves."""
    told = fact("endpoint.disabled", event=None, data=b'{"endpoint_id":"whe_2","reason":"410"}')
    assert subscription(types=["endpoint.disabled"], event_ids=["evt_1"]).matches(told)
    assert not subscription(types=["endpoint.disabled"], team_id="team_1").matches(told)
    granted = {"types": ["*", "endpoint.*"], "partner_id": "p", "granted_types": ["endpoint.*"]}
    assert subscription(**granted, granted_event_ids=None).matches(told)
    assert not subscription(**granted, granted_event_ids=["evt_1"]).matches(told)
    assert not subscription(types=["endpoint.*"], partner_id="p", granted_types=["*"]).matches(told)
    assert not subscription(types=["endpoint.*"], id="whe_2").matches(told)


def test_a_partner_without_granted_types_gets_nothing() -> None:
    """A grant that is missing is not a grant of everything."""
    assert not subscription(partner_id="p").matches(fact())


@pytest.mark.parametrize(
    ("order_by", "data", "key"),
    [
        (OrderBy.NONE, b'{"registration_id":"reg_1"}', None),
        (OrderBy.REGISTRATION, b'{"registration_id":"reg_1"}', "reg_1"),
        (OrderBy.REGISTRATION, b'{"event_id":"evt_1"}', None), (OrderBy.TICKET, b'{"ticket_id":"tkt_1"}', "tkt_1"),
        (OrderBy.TICKET, b'{"ticket_instance_id":"tkt_1"}', "tkt_1"), (OrderBy.TICKET, b"{}", None),
    ],
)  # fmt: skip
def test_what_keeps_its_order(order_by: OrderBy, data: bytes, key: str | None) -> None:
    """A check-in and the ticket itself name the ticket differently and stand in one order."""
    assert subscription(order_by=order_by).order_key(fact(data=data)) == key
