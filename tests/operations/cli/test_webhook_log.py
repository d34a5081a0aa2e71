"""The commands that look into the log of webhooks, run as an operator runs them."""

import json
from datetime import datetime, timedelta

from temula.kernel.ids import DELIVERY, DELIVERY_ATTEMPT, ENDPOINT, MESSAGE
from temula.kernel.sql import Statement
from temula.kernel.tenancy import system
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import Attempt, Outcome, counted
from tests.operations.cli.conftest import Operator

ADD_ENDPOINT = Statement("""
INSERT INTO webhook_endpoints (organization_id, id, url, description, state, types, event_ids, secret, created_at,
    updated_at) VALUES ($1, $2, 'https://example.org', '', 'enabled', '{*}', '{}', '', $3, $3)
""")
NOBODY = "org_00000000000000000000000001"
OBEYED = "\x1b[2J[bold]busy[/bold]"


async def filled(operator: Operator) -> list[Attempt]:
    """Three attempts of a minute each, newest first: answered, failed with what a terminal would obey, not answered."""
    organization_id = operator.sandbox.organization_id
    async with operator.house.database.unit(system("test", organization_id)) as uow:
        endpoint = ENDPOINT.new(uow.now)
        await uow.run(ADD_ENDPOINT, organization_id, endpoint, uow.now)
        attempts = [
            _attempt(organization_id, endpoint, uow.now - timedelta(minutes=n), status, error)
            for n, (status, error) in enumerate(((200, None), (503, None), (None, "timeout")))
        ]
    async with operator.house.database.crossing("a test logs") as uow:
        for one in attempts:
            await store.make_day(uow, one.at.date())
        await store.add_attempts(uow, attempts)
        await store.count_hours(uow, counted(attempts))
    return attempts


def _attempt(organization_id: str, endpoint: str, at: datetime, status: int | None, error: str | None) -> Attempt:
    given: dict[str, object] = {
        "organization_id": organization_id, "at": at, "id": DELIVERY_ATTEMPT.new(at), "delivery_id": DELIVERY.new(at),
        "endpoint_id": endpoint, "message_id": MESSAGE.new(at), "type": "ticket.issued", "event_id": None,
        "number": 1, "outcome": Outcome.DELIVERED if status == 200 else Outcome.RETRIED,
        "duration_ms": 12, "address": "203.0.113.7", "signatures": "v1,aaa\n5ec3",
        "request_body": b'{"event_id":"x"}', "status": status, "response_headers": b"X-Id: 7",
        "response_body": OBEYED.encode(), "error": error, "replay_id": None, "delivery_created_at": at,
    }  # fmt: skip
    return Attempt(**given)  # type: ignore[arg-type]


async def test_the_log_at_the_command_line(operator: Operator) -> None:
    """Searched, as a table and as JSON; one attempt whole, with nothing in it that a terminal obeys."""
    here = ("--organization", operator.sandbox.organization_id)
    fine, busy, silent = await filled(operator)
    said = await operator.run("webhooks", "log", *here)
    places = [said.index(one.id) for one in (fine, busy, silent)]
    assert places == sorted(places)
    assert "timeout" in said
    failed = await operator.run("webhooks", "log", *here, "--status", "failed", "--type", "ticket.*", "--from", "1h")
    assert (fine.id in failed, busy.id in failed, silent.id in failed) == (False, True, True)
    one = json.loads(await operator.run("webhooks", "log", *here, "--limit", "1", "--json"))
    assert [found["id"] for found in one] == [fine.id]
    until = busy.at.isoformat()
    older = json.loads(await operator.run("webhooks", "log", *here, "--until", until, "--outcome", "retried", "--json"))
    assert [found["id"] for found in older] == [silent.id]
    whole = await operator.run("webhooks", "log", busy.id, *here)
    assert "5ec3" in whole
    assert "[bold]busy" in whole
    assert "\x1b[2J" not in whole
    shown = json.loads(await operator.run("webhooks", "log", busy.id, *here, "--json"))
    assert (shown["signature"], shown["response_body"]) == ("5ec3", OBEYED)


async def test_the_log_on_a_narrow_terminal(operator: Operator) -> None:
    """Eighty columns show an attempt in two lines: every id is whole, and no line is longer."""
    here = ("--organization", operator.sandbox.organization_id)
    attempts = await filled(operator)
    operator.environ["COLUMNS"] = "80"
    lines = (await operator.run("webhooks", "log", *here)).splitlines()
    assert max(map(len, lines)) <= 80
    for one in attempts:
        first = next(n for n, line in enumerate(lines) if one.id in line)
        assert one.endpoint_id in lines[first + 1]
        assert one.type in lines[first + 1]


async def test_what_was_counted_at_the_command_line(operator: Operator) -> None:
    """A row an hour or day, and the total."""
    here = ("--organization", operator.sandbox.organization_id)
    attempts = await filled(operator)
    said = await operator.run("webhooks", "stats", *here, "--by", "day", "--from", "2d")
    assert "33.3%" in said.splitlines()[-2]
    chart = json.loads(await operator.run("webhooks", "stats", *here, "--endpoint", attempts[0].endpoint_id, "--json"))
    assert (chart["total"]["attempts"], chart["total"]["retries"], len(chart["data"])) == (3, 2, 24)


async def test_the_sandbox_that_runs_here_need_not_be_named(operator: Operator) -> None:
    """Its organization is in quickstart.json; where there is none, or no such organization, a line says what to do."""
    fine, *_ = await filled(operator)
    for words in (("log",), ("log", fine.id), ("stats",)):
        said = await operator.run("webhooks", *words, fails=True)
        assert "--organization org_..." in said
        assert len(said.strip().splitlines()) == 1
        said = await operator.run("webhooks", *words, "--organization", NOBODY, fails=True)
        assert said == f"temula: There is no organization {NOBODY}.\n"
    operator.sandbox_runs()
    assert fine.id in await operator.run("webhooks", "log")
    assert "5ec3" in await operator.run("webhooks", "log", fine.id)
    assert "33.3%" in await operator.run("webhooks", "stats")


async def test_what_cannot_be_asked_is_one_line(operator: Operator) -> None:
    """No time, no status, no type, no attempt: exit code 2 and what to give instead."""
    here = ("--organization", operator.sandbox.organization_id)
    for words, why in (
        (("log", "--from", "yesterday"), "is no time"), (("log", "--status", "bad"), "no status to search for"),
        (("log", "--type", "nope"), "no message type"), (("log", "--outcome", "x"), "delivered, retried"),
        (("log", "dat_x"), "no attempt dat_x"), (("stats", "--by", "week"), "hour, day"),
        (("stats", "--from", "2020-01-01"), "ask for less time"),
    ):  # fmt: skip
        said = await operator.run("webhooks", *words, *here, fails=True)
        assert why in said
        assert len(said.strip().splitlines()) == 1
