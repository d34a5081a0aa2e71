"""The command that erases a person, run as an operator runs it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from temula.domain.events import service as events
from temula.domain.registrations import service as registrations
from temula.domain.registrations.model import Buyer, Seat
from temula.kernel.tenancy import system
from tests.operations.cli.conftest import Operator
from tests.operations.test_erasing import EMAIL, NAME, OLD


async def registered(operator: Operator) -> str:
    """A registration of two for nothing, made as the API makes it; the second one is somebody else."""
    starts = datetime.now(UTC) + timedelta(days=9)
    async with operator.house.database.unit(system("test", operator.live.organization_id)) as uow:
        event = await events.create_event(
            uow, name="E", starts_at=starts, ends_at=starts + timedelta(hours=1), timezone="UTC", currency="MYR"
        )
        kind = await events.add_ticket_type(uow, event.id, name="T", price=0, quota=None)
        await events.publish(uow, event.id)
        seats = [Seat(ticket_type_id=kind.id, name=one, email=EMAIL) for one in (NAME, "Bo")]
        made = await registrations.register(uow, event.id, Buyer(name=NAME, email=EMAIL), seats)
    return made.registration.id


async def test_counted_asked_erased(operator: Operator) -> None:
    """A dry run counts by table and day and changes nothing, a no neither; then it is gone, and again nothing."""
    here = ("--organization", operator.live.organization_id)
    registration = await registered(operator)
    owner = await asyncpg.connect(operator.environ["TEMULA_DATABASE_URL"])
    old, young = datetime.now(UTC) - timedelta(days=92), datetime.now(UTC) - timedelta(days=1)
    for at in (old, young):
        await owner.execute("SELECT temula_webhook_attempts_day($1)", at.date())
        await owner.execute(OLD, operator.live.organization_id, at, NAME.encode(), b"")
    await operator.run("retention", "run")

    asked = ("privacy", "erase", *here, "--registration", registration)
    for said in (await operator.run(*asked, "--dry-run"), await operator.run(*asked, typed="n\n")):
        assert "webhook_attempts" in said
        assert f"requests and answers of {old.date()}" in said
        assert await owner.fetchval("SELECT buyer_name FROM registrations WHERE id = $1", registration) == NAME
    said = await operator.run(*asked, "--wait", "0", typed="y\n")
    assert "It cannot be taken back" in said
    assert NAME not in said
    row = await owner.fetchrow("SELECT buyer_name, buyer_email FROM registrations WHERE id = $1", registration)
    assert tuple(row) == ("[erased]", "[erased]")
    bodies = await owner.fetch("SELECT response_body FROM webhook_attempts WHERE organization_id = $1", here[1])
    assert {row["response_body"] for row in bodies} == {b"[erased]", b"ok"}
    await owner.close()
    file = Path(operator.environ["TEMULA_DATA_DIR"]) / "back.jsonl"
    await operator.run("webhooks", "archives", "get", str(old.date()), *here, "--output", str(file))
    assert [json.loads(line)["response_body"] for line in file.read_text().splitlines()] == ["[erased]", "ok", "ok"]
    await operator.run("audit", "verify")
    assert "Erased" in await operator.run("privacy", "erase", *here, "--email", EMAIL, "--yes", "--wait", "0")


async def test_who_is_not_there(operator: Operator) -> None:
    """It says in one line that there is nobody, or that one is to be named."""
    here = ("privacy", "erase", "--dry-run", "--organization", operator.live.organization_id)
    for words, says in (
        (("--registration", "reg_00000000000000000000000000"), "There is no registration"),
        (("--attendee", "att_00000000000000000000000000"), "There is no attendee"),
        (("--email", "nobody"), "not an email address"),
        ((), "Name one"),
    ):
        said = await operator.run(*here, *words, fails=True)
        assert says in said
        assert len(said.strip().splitlines()) == 1


async def test_whose_they_are_is_always_named(operator: Operator) -> None:
    """It is not taken from quickstart.json: what cannot be taken back is not done to whichever sandbox runs here."""
    operator.sandbox_runs()
    said = await operator.run("privacy", "erase", "--email", EMAIL, "--yes", "--wait", "0", fails=True)
    assert "--organization" in said
    assert "Erased" not in said
