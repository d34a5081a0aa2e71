"""Every write of the API leaves an entry in the audit log, and no secret gets into entries, logs or problems."""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from temula.domain.organizations.model import Plan
from tests.harness import furnished, house
from tests.harness.api import Answer, Api
from tests.harness.furnished import Furnished
from tests.harness.house import Running, Sale, Tenant, until
from tests.harness.operations import BODIES, Operation, operations
from tests.harness.postgres import Postgres
from tests.harness.receiver import Receiver

# Reads that are a POST because their question does not fit into a URL.
READS = {"POST /tickets/validate"}


class Acts:
    """Makes what a write is done to, fresh for each, so that every write changes something."""

    def __init__(self, temula: Running, one: Furnished, hooks: Receiver, owner: asyncpg.Connection) -> None:
        self.temula, self.one, self.hooks, self.owner = temula, one, hooks, owner
        self.api: Api = one.tenant.api

    async def ids_for(self, operation: Operation) -> dict[str, str]:
        """The furnished tenant's ids, with fresh objects where the operation needs a state of its own."""
        fresh: dict[str, Callable[[], Awaitable[dict[str, str]]]] = {
            "DELETE /events/{event_id}": self.draft,
            "POST /events/{event_id}/publish": self.draft,
            "POST /events/{event_id}/archive": self.draft,
            "DELETE /ticket-types/{ticket_type_id}": self.ticket_type,
            "POST /registrations/{registration_id}/cancel": self.pending,
            "POST /registrations/{registration_id}/pay": self.declined,
            "POST /tickets/{ticket_id}/void": self.paid,
            "POST /check-ins": self.paid,
            "POST /check-ins/{check_in_id}/undo": self.checked_in,
            "POST /refunds": self.paid,
            "DELETE /webhooks/endpoints/{endpoint_id}": self.endpoint,
            "POST /webhooks/deliveries/{delivery_id}/replay": self.delivery,
            "POST /webhooks/replays/{replay_id}/cancel": self.replay,
        }
        made = await fresh[operation.name]() if operation.name in fresh else {}
        return {**self.one.ids, "code": self.one.code, **made}

    async def draft(self) -> dict[str, str]:
        body = {**BODIES["POST /events"](self.one.ids), "name": secrets.token_hex(4)}
        return {"event": (await self.api.post("/events", body))["id"]}

    async def ticket_type(self) -> dict[str, str]:
        made = await self.api.post(f"/events/{self.one.ids['event']}/ticket-types", {"name": "Late", "price": 0})
        return {"ticket_type": made["id"]}

    async def endpoint(self) -> dict[str, str]:
        return {"endpoint": (await self.api.post("/webhooks/endpoints", {"url": self.hooks.url}))["id"]}

    async def delivery(self) -> dict[str, str]:
        made = await self.endpoint()
        sent = await self.api.post(f"/webhooks/endpoints/{made['endpoint']}/test", {"type": "ticket.issued"})
        return {"delivery": sent["id"]}

    async def replay(self) -> dict[str, str]:
        """One that waits for its endpoint, which has missed what is there."""
        paused = await self.endpoint()
        await self.api.post(f"/webhooks/endpoints/{paused['endpoint']}/pause", {})
        wanted = {"kind": "missing", "endpoint_id": paused["endpoint"], "since": "2026-01-01T00:00:00Z"}
        return {"replay": (await self.api.post("/webhooks/replays", wanted))["id"]}

    async def ordered(self) -> tuple[Sale, dict[str, Any]]:
        sale = await self.temula.sale(self.one.tenant)
        order = {**BODIES["POST /registrations"]({"event": sale.event["id"], "ticket_type": sale.types[0]["id"]})}
        return sale, await self.api.post("/registrations", order)

    async def pending(self) -> dict[str, str]:
        return {"registration": (await self.ordered())[1]["id"]}

    async def declined(self) -> dict[str, str]:
        """The provider would not open the first attempt: it has ended, and the hold still stands."""
        _, order = await self.ordered()
        for table, id_ in (("payments", order["payment"]["id"]), ("payment_attempts", latest(order)["id"])):
            await self.owner.execute(f"UPDATE {table} SET state = 'failed' WHERE id = $1", id_)
        return {"registration": order["id"]}

    async def paid(self) -> dict[str, str]:
        sale, order = await self.ordered()
        await self.temula.pay(order)

        async def issued() -> list[Any]:
            return await self.api.every(f"/tickets?registration_id={order['id']}")

        (ticket,) = await until(issued)
        return {
            "registration": order["id"], "ticket": ticket["id"], "attendee": ticket["attendee_id"],
            "checkpoint": sale.gate["id"],
        }  # fmt: skip

    async def checked_in(self) -> dict[str, str]:
        ids = await self.paid()
        return {"check_in": (await self.api.post("/check-ins", BODIES["POST /check-ins"](ids)))["id"]}


def latest(order: dict[str, Any]) -> dict[str, Any]:
    attempts: list[dict[str, Any]] = order["payment"]["attempts"]
    return attempts[-1]


async def entries(owner: asyncpg.Connection, tenant: Tenant) -> list[asyncpg.Record]:
    """What callers with a token have done in an organization."""
    return await owner.fetch(
        "SELECT sequence, action, actor_kind, target FROM audit_entries "
        "WHERE organization_id = $1 AND actor_kind = 'token' ORDER BY sequence",
        tenant.id,
    )


async def test_every_write_is_in_the_log(temula: Running, tenant: Tenant, hooks: Receiver) -> None:
    """Each write operation of the document adds an entry that names the token; a repeat with its key adds none."""
    one = await furnished.furnish(temula, tenant, hooks)
    owner = await asyncpg.connect(temula.owner_url)
    acts = Acts(temula, one, hooks, owner)
    writes = [one for one in await operations(tenant.api) if one.method != "GET" and one.name not in READS]
    assert len(writes) > 20
    unaudited, failed = [], []
    for operation in writes:
        ids = await acts.ids_for(operation)
        body = operation.body(ids)
        if body is not None and "name" in body:
            body["name"] = f"Named {secrets.token_hex(4)}"
        before = await entries(owner, tenant)
        key = {"Idempotency-Key": secrets.token_hex(8)}
        answer = await tenant.api.call(operation.method, operation.url(ids), body, headers=key)
        after = await entries(owner, tenant)
        if answer.status >= 300:
            failed.append((operation.name, answer.status, answer.body))
        elif len(after) <= len(before):
            unaudited.append(operation.name)
        again = await tenant.api.call(operation.method, operation.url(ids), body, headers=key)
        assert again.headers.get("idempotent-replayed") == "true", operation.name
        assert len(await entries(owner, tenant)) == len(after), operation.name
    await owner.close()
    assert (unaudited, failed) == ([], [])


async def test_a_refused_write_leaves_none(temula: Running, tenant: Tenant) -> None:
    """What was rolled back was not done, and the log does not say that it was."""
    owner = await asyncpg.connect(temula.owner_url)
    event = await tenant.api.post("/events", BODIES["POST /events"]({"team": None}))  # type: ignore[dict-item]
    before = await entries(owner, tenant)
    await tenant.api.post(f"/events/{event['id']}/archive")
    archived = await entries(owner, tenant)
    assert len(archived) == len(before) + 1
    refused = await tenant.api.call("POST", f"/events/{event['id']}/publish")
    assert refused.status == 409
    assert len(await entries(owner, tenant)) == len(archived)
    await owner.close()


async def provoked(temula: Running, one: Furnished, platform_door: str) -> list[Answer]:
    """Problems of all kinds, each with a secret near at hand."""
    api, nobody = one.tenant.api, temula.api(None)
    door = f"//in/payments/stripe/live/{platform_door}"
    token = one.secrets["token"]
    signing_in = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = {"url": "http://10.0.0.1/"}
    await temula.fault("busy", one.tenant)
    return [
        await api.call("POST", "/registrations", BODIES["POST /registrations"](one.ids)),
        await nobody.call("POST", door, raw=b"{}", headers={"Stripe-Signature": "t=1,v1=00"}),
        await nobody.call("GET", door),
        await nobody.call("POST", f"{door}x", raw=b"{}"),
        await temula.api(token[:-1]).call("GET", "/events"),
        await nobody.call("GET", f"/events?access_token={token}"),
        await api.call("GET", f"/events/{token}"),
        await api.call("POST", "/webhooks/endpoints", {**refused, "secret": one.secrets["webhook_secret"]}),
        await api.call("POST", "/webhooks/endpoints", refused),
        await nobody.call("POST", "//sign-in", raw=f"email=x%40example.org&password={furnished.PASSWORD}".encode(),
                          headers=signing_in),
        await nobody.call("GET", "//live", headers={"Cookie": f"temula_session={one.secrets['session']}x"}),
    ]  # fmt: skip


async def test_no_secret_is_told(
    server: Postgres, hooks: Receiver, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Tokens, keys, signing secrets, passwords, sessions, door tokens: in no log line, no problem, no audit entry."""
    async with server.database() as url, house.running(url, tmp_path) as temula:
        one = await furnished.furnish(temula, await temula.tenant(plan=Plan.PRO), hooks)
        platform = await furnished.furnish_platform(temula)
        answers = await provoked(temula, one, platform["platform_door"])
        owner = await asyncpg.connect(url)
        await owner.execute("UPDATE webhook_endpoints SET secret = 'damaged'")  # the delivery of this one fails
        await one.tenant.api.post(f"/webhooks/deliveries/{one.ids['delivery']}/replay")

        async def failed() -> bool:
            return "delivery.failed" in read()

        said: list[str] = []

        def read() -> str:
            out, err = capfd.readouterr()
            said.extend((out, err))
            return "".join(said)

        await until(failed)
        audited = await owner.fetchval("SELECT string_agg(t::text, ' ') FROM audit_entries t")
        await owner.close()
    problems = " ".join(answer.body.decode(errors="replace") for answer in answers)
    secrets_ = {**one.secrets, **platform, "session": one.secrets["session"]}
    asked_for = {"token"}  # a problem repeats the path that was asked for, and this one was put into it on purpose
    told = [(name, "log") for name, secret in secrets_.items() if secret in read()]
    told += [(name, "audit") for name, secret in secrets_.items() if secret in audited]
    told += [(name, "problem") for name, secret in secrets_.items() if secret in problems and name not in asked_for]
    assert told == []
    assert len(audited) > 1000
