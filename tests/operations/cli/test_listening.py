"""The commands for developers of receivers, run as they are run, against a running Temula by its public API."""

from collections.abc import AsyncIterator

import pytest

from temula_webhooks import Webhook
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.operations.processes import Program, Programs

ACTS = (
    "attendee.checked_in", "check_in.completed", "event.archived", "event.published", "event.updated", "payment.failed",
    "payment.succeeded", "registration.cancelled", "registration.created", "registration.refunded", "ticket.issued",
    "ticket.void",
)  # fmt: skip


class Developer:
    """Somebody with a token of a sandbox at a command line."""

    def __init__(self, temula: Running, tenant: Tenant, programs: Programs) -> None:
        self._programs = programs
        self.at = ("--base-url", temula.base_url, "--token", tenant.token)

    async def runs(self, *words: str) -> Program:
        return await self._programs.temula(*words, *self.at, COLUMNS="300")


@pytest.fixture
async def developer(temula: Running, tenant: Tenant) -> AsyncIterator[Developer]:
    programs = Programs()
    yield Developer(temula, tenant, programs)
    await programs.end()


async def test_what_happens_is_forwarded_signed_anew(developer: Developer, tenant: Tenant, hooks: Receiver) -> None:
    """From now on, only the types asked for; signed both ways by the secret that is printed, the same each time."""
    await tenant.api.post("/events", EVENT)
    listening = await developer.runs("listen", "--forward-to", hooks.url, "--events", "event.*", "--count", "2")
    secret = (await listening.line("Signing secret:")).split()[-1]
    await listening.line("Ready")
    event = await tenant.api.post("/events", EVENT)
    await tenant.api.post(f"/events/{event['id']}/publish")
    await tenant.api.patch(f"/events/{event['id']}", {"description": 'Aïsyah "王" 🎟️'})
    code, said = await listening.rest()
    assert code == 0, said
    assert hooks.types == ["event.published", "event.updated"]
    for arrival in hooks.arrivals:
        message = Webhook(secret).verify(arrival.body, arrival.headers)
        assert message.data["event_id"] == event["id"]
        Webhook(secret).verify_body(arrival.body, arrival.headers)
        assert arrival.verified_by(secret)
        assert arrival.id in said
    again = await developer.runs("listen", "--forward-to", hooks.url)
    assert (await again.line("Signing secret:")).split()[-1] == secret


async def test_a_local_server_that_fails_is_reported(developer: Developer, tenant: Tenant, hooks: Receiver) -> None:
    """Its status is shown and the exit code is 1; listening goes on meanwhile."""
    hooks.answers = [500]
    listening = await developer.runs("listen", "--forward-to", hooks.url, "--events", "event.published", "--count", "2")
    await listening.line("Ready")
    for _ in range(2):
        event = await tenant.api.post("/events", EVENT)
        await tenant.api.post(f"/events/{event['id']}/publish")
    assert "500" in await listening.line("20")
    assert "200" in await listening.line("20")
    assert (await listening.rest())[0] == 1


async def test_a_local_server_that_is_not_there_is_reported(developer: Developer, tenant: Tenant) -> None:
    """Nothing listens: the error is named instead of a status."""
    listening = await developer.runs("listen", "--forward-to", "http://127.0.0.1:9/", "--count", "1")
    await listening.line("Ready")
    event = await tenant.api.post("/events", EVENT)
    await tenant.api.post(f"/events/{event['id']}/publish")
    assert "connect" in await listening.line("20")
    assert (await listening.rest())[0] == 1


async def test_ctrl_c_ends_it_well(developer: Developer, hooks: Receiver) -> None:
    """Ending it is no error."""
    listening = await developer.runs("listen", "--forward-to", hooks.url)
    await listening.line("Ready")
    listening.process.send_signal(2)
    assert (await listening.rest())[0] == 0


@pytest.mark.parametrize("type_", ACTS)
async def test_each_type_can_be_made_to_happen(
    developer: Developer, tenant: Tenant, hooks: Receiver, type_: str
) -> None:
    """A real act, whose message arrives at an endpoint."""
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": [type_]})
    code, said = await (await developer.runs("trigger", type_)).rest()
    assert code == 0, said
    assert "follows from" in said

    async def heard() -> bool:
        return bool(hooks.of(type_))

    await until(heard)


async def test_an_example_goes_to_one_endpoint(developer: Developer, tenant: Tenant, hooks: Receiver) -> None:
    """Of any type, also one that no act leads to, and says that it is an example."""
    endpoint = await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["event.archived"]})
    code, said = await (await developer.runs("trigger", "endpoint.disabled", "--endpoint", endpoint["id"])).rest()
    assert code == 0, said

    async def heard() -> bool:
        return bool(hooks.of("endpoint.disabled"))

    await until(heard)
    assert hooks.arrivals[0].message["data"]["test"] is True


async def test_types_are_listed(developer: Developer) -> None:
    """Without a type the command says which there are."""
    code, said = await (await developer.runs("trigger")).rest()
    assert code == 0
    assert all(type_ in said for type_ in ACTS)


async def test_what_cannot_be_is_one_line(developer: Developer, temula: Running, tenant: Tenant) -> None:
    """An unknown type, a live organization, a wrong token, no server: exit code 2 and what to do."""
    code, said = await (await developer.runs("trigger", "moon.landed")).rest()
    assert (code, len(said.splitlines())) == (2, 1)
    assert "No act leads to 'moon.landed'" in said
    programs = Programs()
    for at, wanted in (
        (("--base-url", temula.base_url, "--token", "tml_test_wrong"), "does not know the token"),
        (("--base-url", "http://127.0.0.1:9", "--token", tenant.token), "Nothing answers"),
        (("--base-url", temula.base_url, "--token", await _live_token(temula, tenant)), "live organization"),
    ):
        code, said = await (await programs.temula("listen", "--forward-to", "http://127.0.0.1:9/", *at)).rest()
        assert (code, len(said.splitlines())) == (2, 1), said
        assert wanted in said


async def test_what_is_asked_wrongly_is_one_line(developer: Developer) -> None:
    """An address that is none, types that there are not, an endpoint that there is not: a line and exit code 2."""
    here = ("listen", "--forward-to", "localhost:9")
    for words, wanted in (
        (("listen", "--forward-to", "ftp://x"), "temula: 'ftp://x' is no address of a server"),
        (("listen", "--forward-to", "http://"), "give one like http://localhost:3000/hooks"),
        (("listen", "--forward-to", "localhost:port"), "is no address of a server"),
        ((*here, "--events", "moon.landed"), "temula: 'moon.landed' is no message type; there are: attendee."),
        ((*here, "--events", "a&limit=0"), "temula: 'a&limit=0' is no message type"),
        ((*here, "--events", " "), "or leave it out to hear of all"),
        (("webhooks", "tail", "--endpoint", "whe_x"), "temula: There is no webhook endpoint whe_x."),
        (("trigger", "event.updated", "--endpoint", "whe_x"), "temula: There is no webhook endpoint whe_x."),
    ):
        code, said = await (await developer.runs(*words)).rest()
        assert (code, len(said.splitlines())) == (2, 1), said
        assert wanted in said


async def test_a_scheme_may_be_left_out(developer: Developer, tenant: Tenant, hooks: Receiver) -> None:
    """`localhost:3000/hooks` is what one types; spaces after the commas between types are no harm."""
    address = hooks.url.removeprefix("http://")
    asked = ("--events", "event.published, event.updated", "--count", "1")
    listening = await developer.runs("listen", "--forward-to", address, *asked)
    await listening.line("Ready")
    event = await tenant.api.post("/events", EVENT)
    await tenant.api.post(f"/events/{event['id']}/publish")
    code, said = await listening.rest()
    assert code == 0, said
    assert hooks.types == ["event.published"]


async def test_deliveries_are_shown_live(developer: Developer, tenant: Tenant, hooks: Receiver) -> None:
    """Each delivery, with its state as it changes."""
    endpoint = await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["event.published"]})
    tail = await developer.runs("webhooks", "tail", "--endpoint", endpoint["id"])
    event = await tenant.api.post("/events", EVENT)
    await tenant.api.post(f"/events/{event['id']}/publish")
    lines = [await tail.line("20")]
    while "delivered" not in lines[-1]:
        lines.append(await tail.line("20"))
    assert all("event.published" in line and endpoint["id"] in line for line in lines)


async def test_what_was_before_is_shown_and_not_counted(developer: Developer, tenant: Tenant, hooks: Receiver) -> None:
    """`--count` is of what happens from now on."""
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url, "types": ["event.published"]})

    async def publish() -> str:
        event = await tenant.api.post("/events", EVENT)
        await tenant.api.post(f"/events/{event['id']}/publish")

        async def delivered() -> str | None:
            found = (await tenant.api.get("/webhooks/deliveries"))["data"]
            return found[0]["id"] if found and found[0]["state"] == "delivered" else None

        return await until(delivered)

    before = await publish()
    tail = await developer.runs("webhooks", "tail", "--count", "1")
    assert before in await tail.line("20")
    event = await tenant.api.post("/events", EVENT)
    await tenant.api.post(f"/events/{event['id']}/publish")
    code, said = await tail.rest()
    assert (code, before in said, "event.published" in said) == (0, False, True)


async def _live_token(temula: Running, tenant: Tenant) -> str:
    """A token of the tenant's live twin."""
    from temula.kernel.tenancy import system
    from temula.outbound.callers import service as callers

    twin = (await tenant.api.get("/organization"))["twin_id"]
    async with temula.house.database.unit(system("test", twin)) as uow:
        return (await callers.create_token(uow, name="live", abilities=["*"]))[1]


EVENT = {"name": "Gala", "starts_at": "2030-01-01T10:00:00Z", "ends_at": "2030-01-01T12:00:00Z", "currency": "MYR"}
