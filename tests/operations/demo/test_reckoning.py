"""The ledger of the demo: all is well only if exactly the expected messages came, verified, as the log has it."""

import pytest

from temula.operations.demo.reckoning import Arrival, Ledger, Line, NotHeard, Sent


def arrival(id_: str = "msg_1", type_: str = "ticket.issued", *, plain: bool = True, standard: bool = True) -> Arrival:
    return Arrival(id_, type_, {"attendee_id": "att_1", "event_id": "evt_1"}, plain, standard)


def sent(id_: str = "msg_1", state: str = "delivered", attempts: int = 1) -> Sent:
    return Sent(id_, "ticket.issued", state, attempts)


def ledger(*arrivals: Arrival) -> Ledger:
    made = Ledger()
    made.expect("ticket.issued", attendee_id="att_1")
    for one in arrivals:
        made.take(one)
    return made


async def test_nothing_is_wrong_when_all_agree() -> None:
    """Expected, sent, delivered and verified agree; a repeat that the log knows of is no fault."""
    assert ledger(arrival()).faults([sent()]) == []
    assert ledger(arrival(), arrival()).faults([sent(attempts=2)]) == []
    assert ledger(arrival(), arrival()).lines([sent(attempts=2)]) == [Line("ticket.issued", 1, 1, 1, 1, 1)]


@pytest.mark.parametrize(
    ("arrivals", "log", "fault"),
    [
        ([], [], "ticket.issued was expected and did not arrive: attendee_id att_1"),
        ([arrival(), arrival("msg_2")], [sent(), sent("msg_2")], "ticket.issued arrived and was not expected: msg_2"),
        ([arrival(type_="ticket.void")], [sent()], "ticket.void arrived and was not expected: msg_1"),
        ([arrival(plain=False)], [sent()], "ticket.issued msg_1: X-Temula-Signature does not fit"),
        ([arrival(standard=False)], [sent()], "ticket.issued msg_1: the Standard Webhooks signature does not fit"),
        ([arrival(), arrival()], [sent()], "ticket.issued msg_1: the log says delivered after 1 attempts, 2 arrived"),
        ([arrival()], [sent(state="pending")], "ticket.issued msg_1: the log says pending after 1 attempts, 1 arrived"),
        ([arrival()], [], "msg_1 arrived and is not in the log"),
    ],
)
async def test_each_fault_is_named(arrivals: list[Arrival], log: list[Sent], fault: str) -> None:
    """Missing, unexpected, badly signed, repeated without cause, or unknown to the sender: each is said by itself."""
    assert fault in ledger(*arrivals).faults(log)


async def test_waiting_ends_with_what_is_missing() -> None:
    """Whoever waits for messages that do not come learns their types; a badly signed one is not heard."""
    with pytest.raises(NotHeard, match=r"no webhook of ticket\.issued"):
        await ledger(arrival(plain=False)).settle(0.01)
    await ledger(arrival()).settle(0.01)
