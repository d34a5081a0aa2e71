"""Temula as a sender: its own processes on a PostgreSQL of their own, driven through the public API."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from conformance.sender import Attempt, Endpoint, Marker, Promises, Refused, Sender
from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel import settings
from temula.kernel.clock import rfc3339
from temula.kernel.crypto import new_ring
from temula.kernel.http import Http
from temula.kernel.stringify import stringify
from temula.kernel.tenancy import system
from temula.operations import calling, children, migrations, running, wiring
from temula.operations.configuration import configure
from temula.operations.embedded import EmbeddedPostgres
from temula.outbound.callers import service as callers

START = 60.0
RATE = 1_000_000


class Temula(Sender):
    """A sandbox organization of a Temula that the kit has started."""

    name = "Temula"
    promises = Promises(
        waits=(60, 300, 1800, 7200, 86400), jitter=0.1, deadline=15.0, disable_after=5, disable_over=60.0,
        overlap=86400.0, lease=60.0, port=8443,
    )  # fmt: skip

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._environ: dict[str, str] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._shared: dict[str, Any] = {"lead": 0.0, "names": {}}
        self._folder = Path()
        self._url = ""

    async def __aenter__(self) -> "Temula":
        """Start PostgreSQL, an organization, the API and a worker."""
        running.log_quietly()
        self._folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        self._folder.chmod(0o755)  # root's PostgreSQL runs as another user
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        postgres = EmbeddedPostgres(self._folder / "postgres")
        await postgres.start()
        self._stack.push_async_callback(postgres.stop)
        self._url = postgres.url()
        await migrations.apply(self._url)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._environ = {
            "TEMULA_DATABASE_URL": self._url, "TEMULA_KEYS_RING": new_ring().dump().decode(),
            "TEMULA_DATA_DIR": str(self._folder / "data"), "TEMULA_SERVER_PORT": str(port),
        }  # fmt: skip
        self._share()
        token = await self._organization()
        http = await self._stack.enter_async_context(Http(user_agent="Temula-Conformance"))
        self._api = calling.Api(http, f"http://127.0.0.1:{port}", token)
        self._stack.push_async_callback(self._end)
        await self._spawn("api")
        await self.start()
        await self._until_it_answers(port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all of it and remove the folder."""
        await self._stack.aclose()

    async def create_endpoint(self, url: str, *, ordered: bool = False) -> Endpoint:
        """Add an endpoint for the messages of an event of its own."""
        starts = datetime.now(UTC) + timedelta(days=300)
        wanted = {"name": "Conformance", "starts_at": rfc3339(starts), "ends_at": rfc3339(starts + timedelta(hours=4)),
                  "currency": "MYR"}  # fmt: skip
        topic = (await self._api.post("/events", wanted))["id"]
        if ordered:
            await self._api.post(f"/events/{topic}/ticket-types", {"name": "Free", "price": 0})
        await self._api.post(f"/events/{topic}/publish")
        return await self._create(
            url, topic, {"types": ["registration.*"], "order_by": "registration"} if ordered else {}
        )

    async def share(self, endpoint: Endpoint, url: str) -> Endpoint:
        """Add another endpoint for the messages of the same event."""
        return await self._create(url, endpoint.topic, {})

    async def change_url(self, endpoint: Endpoint, url: str) -> None:
        """Change where it delivers to."""
        try:
            await self._api.patch(f"/webhooks/endpoints/{endpoint.id}", {"url": url})
        except calling.Refused as refused:
            raise Refused(str(refused)) from None

    async def delete_endpoint(self, endpoint: Endpoint) -> None:
        """Remove it."""
        await self._api.delete(f"/webhooks/endpoints/{endpoint.id}")

    async def publish(self, endpoint: Endpoint, text: str = "") -> Marker:
        """Change the event's description: `event.updated` tells of it."""
        token = uuid4().hex
        await self._api.patch(f"/events/{endpoint.topic}", {"description": f"{token} {text}"})
        return Marker((f'"to":"{token}',))  # the next message tells of it too, as what was before

    async def publish_series(self, endpoint: Endpoint) -> list[Marker]:
        """Register somebody for nothing, and cancel: two messages of one registration."""
        event = await self._api.get(f"/events/{endpoint.topic}/ticket-types")
        wanted = {"event_id": endpoint.topic, "buyer": {"name": "Bo", "email": "bo@example.org"},
                  "attendees": [{"ticket_type_id": event["data"][0]["id"]}]}  # fmt: skip
        made = (await self._api.post("/registrations", wanted))["id"]
        await self._api.post(f"/registrations/{made}/cancel", {})
        return [Marker((made, f'"{kind}"')) for kind in ("registration.created", "registration.cancelled")]

    async def now(self) -> float:
        """Give the moved clock's time."""
        return time.time() + float(self._shared["lead"])

    async def pass_time(self, seconds: float) -> None:
        """Move the clock of both processes, and wake whoever waits for work."""
        self._shared["lead"] += max(0.0, seconds)
        self._share()
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("SELECT pg_notify('temula', 'deliveries')")
        finally:
            await connection.close()

    async def attempts(self, endpoint: Endpoint, marker: Marker) -> list[Attempt]:
        """Read the log of the delivery whose message has the marker."""
        for delivery in (await self._api.get(f"/webhooks/deliveries?endpoint_id={endpoint.id}&limit=100"))["data"]:
            told = await self._api.get(f"/webhooks/deliveries/{delivery['id']}")
            if marker.fits(stringify(told["message"])):
                return [Attempt(one["number"], one["status"], one["error"]) for one in told["attempts"]]
        return []

    async def logged(self, endpoint: Endpoint) -> int:
        """Add up what its deliveries say."""
        found = (await self._api.get(f"/webhooks/deliveries?endpoint_id={endpoint.id}&limit=100"))["data"]
        return sum(one["attempts"] for one in found)

    async def enabled(self, endpoint: Endpoint) -> bool:
        """Look at its state."""
        return bool((await self._api.get(f"/webhooks/endpoints/{endpoint.id}"))["state"] == "enabled")

    async def enable(self, endpoint: Endpoint) -> None:
        """Enable it."""
        await self._api.patch(f"/webhooks/endpoints/{endpoint.id}", {"state": "enabled"})

    async def rotate(self, endpoint: Endpoint) -> Endpoint:
        """Rotate its secret with the overlap that is the default."""
        made = await self._api.post(f"/webhooks/endpoints/{endpoint.id}/rotate-secret", {})
        return endpoint._replace(secret=made["secret"])

    async def replay(self, endpoint: Endpoint, marker: Marker) -> None:
        """Replay the delivery."""
        for delivery in (await self._api.get(f"/webhooks/deliveries?endpoint_id={endpoint.id}&limit=100"))["data"]:
            told = await self._api.get(f"/webhooks/deliveries/{delivery['id']}")
            if marker.fits(stringify(told["message"])):
                await self._api.post(f"/webhooks/deliveries/{delivery['id']}/replay")
                return
        raise Refused("the delivery is not in the log")

    async def replay_all(self, endpoint: Endpoint, since: float) -> None:
        """Replay what the log has of the endpoint since then."""
        begins = rfc3339(datetime.fromtimestamp(since, UTC))
        await self._api.post("/webhooks/replays", {"kind": "filter", "endpoint_id": endpoint.id, "since": begins})

    async def pull(self, endpoint: Endpoint) -> list[bytes]:
        """Read all messages about the event."""
        found, cursor, more = [], "", True
        while more:
            page = await self._api.get(f"/webhooks/messages?types=event.updated&limit=100{cursor}")
            found += [stringify(one) for one in page["data"] if one["data"]["event_id"] == endpoint.topic]
            cursor, more = f"&after={page['next_cursor']}", page["has_more"]
        return found

    async def kill(self) -> None:
        """Kill the worker."""
        process = self._processes.pop("worker")
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def start(self) -> None:
        """Start a worker."""
        await self._spawn("worker")

    async def aim(self, name: str, addresses: Sequence[str]) -> None:
        """Change what the processes' name server says."""
        self._shared["names"][name] = list(addresses)
        self._share()

    async def _create(self, url: str, topic: str, more: dict[str, Any]) -> Endpoint:
        wanted = {"url": url, "event_ids": [topic], "types": ["event.updated"], **more}
        try:
            made = await self._api.post("/webhooks/endpoints", wanted)
        except calling.Refused as refused:
            raise Refused(str(refused)) from None
        return Endpoint(made["id"], url, made["secret"], topic)

    async def _organization(self) -> str:
        async with wiring.opened(configure(settings.load(self._environ))) as house:
            _, sandbox = await organizations.create_twins(
                house.database, name="Conformance", plan=Plan.ENTERPRISE, part="conformance"
            )
            async with house.database.unit(system("conformance", sandbox.organization_id)) as uow:
                await organizations.change(uow, msgspec.structs.replace(sandbox, requests_per_minute=RATE))
                return (await callers.create_token(uow, name="conformance", abilities=["*"]))[1]

    async def _spawn(self, what: str) -> None:
        log = (self._folder / f"{what}.log").open("ab")
        try:
            self._processes[what] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "conformance.adapters.temula_process", what, str(self._folder / "shared.json"),
                env={**os.environ, **self._environ}, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=children.tied(signal.SIGKILL),  # none outlives the kit, however that ends
            )  # fmt: skip
        finally:
            log.close()

    async def _end(self) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _until_it_answers(self, port: int) -> None:
        async with asyncio.timeout(START):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                if self._processes["api"].returncode is not None:
                    raise RuntimeError((self._folder / "api.log").read_text()[-2000:])
                await asyncio.sleep(0.05)

    def _share(self) -> None:
        draft = self._folder / "shared.new"
        draft.write_text(json.dumps(self._shared))
        draft.replace(self._folder / "shared.json")


ADAPTER = Temula
