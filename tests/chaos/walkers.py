"""Callers who walk the main job while everything around them dies; their ledger is what was acknowledged to them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp

from tests.chaos.standing import Standing
from tests.harness.api import Answer

PATIENCE = 120.0
PAUSE = 0.1


class Ledger(NamedTuple):
    """What callers were told had happened, by the ids they were given."""

    registrations: dict[str, dict[str, Any]]
    paid: set[str]
    check_ins: dict[str, str]
    refunds: dict[str, dict[str, Any]]


class Walker:
    """Walks again and again until told to stop; a step that is not acknowledged is repeated under its key."""

    def __init__(self, standing: Standing, web: aiohttp.ClientSession, chance: random.Random, gate_id: str) -> None:
        self.ledger = Ledger({}, set(), {}, {})
        self.walks = 0
        self._standing, self._web, self._chance, self._gate_id = standing, web, chance, gate_id

    async def walk(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with asyncio.timeout(PATIENCE):
                await self._once()
            self.walks += 1

    async def _once(self) -> None:
        quickstart, kind = self._standing.quickstart, {"ticket_type_id": self._standing.quickstart["ticket_type_id"]}
        wish = {"event_id": quickstart["event_id"], "buyer": {"name": "A", "email": "a@example.org"},
                "attendees": [kind] * self._chance.randint(1, 2)}  # fmt: skip
        made = await self._write("/registrations", wish)
        self.ledger.registrations[made["id"]] = made
        await self._pay(made["id"])
        self.ledger.paid.add(made["id"])
        tickets = await self._until(lambda: self._issued(made["id"], len(wish["attendees"])))
        scanned = await self._write("/check-ins", {"checkpoint_id": self._gate_id, "code": tickets[0]["code"]})
        self.ledger.check_ins[scanned["id"]] = scanned["ticket_id"]
        if self._chance.random() < 0.4:
            refund = await self._write("/refunds", {"registration_id": made["id"], "reason": "asked"})
            self.ledger.refunds[refund["id"]] = refund

    async def _pay(self, registration_id: str) -> None:
        """Pay at the provider's page, once: a page that is paid for says so."""

        async def page() -> str | None:
            shown = await self._get(f"/registrations/{registration_id}")
            action = shown["payment"]["attempts"][-1]["next_action"]
            return action["url"] if action else None

        url = (await self._until(page)).partition("?")[0].rstrip("/")
        pay = f"{self._standing.stand_in}/checkout/{url.rpartition('/')[2]}/pay"

        async def paid() -> bool:
            async with self._web.post(pay, json={"outcome": "succeed"}, headers={"Accept": "application/json"}) as told:
                body = await told.text()
                assert told.status < 500, body
                return told.status == 200 or "complete" in body

        await self._until(paid)

    async def _issued(self, registration_id: str, number: int) -> list[dict[str, Any]] | None:
        tickets = (await self._get(f"/tickets?registration_id={registration_id}"))["data"]
        return tickets if len(tickets) == number else None

    async def _write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        key = {"Idempotency-Key": uuid4().hex}

        async def written() -> dict[str, Any] | None:
            return self._good(await self._standing.api().call("POST", path, body, headers=key))

        return await self._until(written)

    async def _get(self, path: str) -> dict[str, Any]:
        return await self._until(lambda: self._got(path))

    async def _got(self, path: str) -> dict[str, Any] | None:
        return self._good(await self._standing.api().call("GET", path))

    def _good(self, answer: Answer) -> dict[str, Any] | None:
        """What was acknowledged; None if it is to be repeated. Anything but 2xx, 503 and "still running" is a bug."""
        if answer.status < 300:
            return answer.json
        assert answer.status == 503 or answer.code == "still_running", (answer.status, answer.body)
        return None

    async def _until(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """Repeat a step until it gives something; a connection that breaks is no news."""
        while True:
            try:
                if found := await step():
                    return found
            except (aiohttp.ClientError, ConnectionError, OSError):
                pass
            await asyncio.sleep(PAUSE)
