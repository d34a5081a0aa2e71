"""A small sender in memory that keeps its promises, and can be told to break one: what the kit itself is tested by."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
import secrets
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp

from conformance.sender import Attempt, Endpoint, Marker, Promises, Refused, Sender

DEADLINE = 1.0


class Task:
    """A message on its way to one endpoint."""

    def __init__(self, endpoint: str, message_id: str, body: bytes, due: float) -> None:
        self.endpoint, self.id, self.body, self.due = endpoint, message_id, body, due
        self.tried: list[Attempt] = []


class Honest(Sender):
    """`faults` are names of promises that it breaks."""

    name = "Honest"
    promises = Promises((60, 900), 0.1, DEADLINE, 5, 60.0, 3600.0, 60.0, patience=2.0)

    def __init__(self, *faults: str) -> None:
        self.faults = set(faults)
        self.lead = 0.0
        self.secrets: dict[str, list[tuple[str, float]]] = {}
        self.urls: dict[str, str] = {}
        self.failures: dict[str, list[float]] = {}
        self.disabled: set[str] = set()
        self.topics: dict[str, list[str]] = {}
        self.tasks: list[Task] = []
        self.running: set[asyncio.Task[None]] = set()
        self.more = asyncio.Event()

    async def __aenter__(self) -> "Honest":
        self.web = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE))
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        await self.web.close()

    async def create_endpoint(self, url: str, *, ordered: bool = False) -> Endpoint:
        if urlsplit(url).hostname != "127.0.0.1" and "any-address" not in self.faults:
            raise Refused("only loopback")
        topic = uuid4().hex
        return self._add(url, topic)

    async def share(self, endpoint: Endpoint, url: str) -> Endpoint:
        return self._add(url, endpoint.topic)

    def _add(self, url: str, topic: str) -> Endpoint:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        endpoint = Endpoint(uuid4().hex, url, secret, topic)
        self.secrets[endpoint.id], self.urls[endpoint.id] = [(secret, float("inf"))], url
        self.topics.setdefault(topic, []).append(endpoint.id)
        return endpoint

    async def delete_endpoint(self, endpoint: Endpoint) -> None:
        self.tasks = [task for task in self.tasks if task.endpoint != endpoint.id]

    async def publish(self, endpoint: Endpoint, text: str = "") -> Marker:
        token, message_id = uuid4().hex, uuid4().hex
        body = json.dumps({"token": token, "text": text}, ensure_ascii=False, separators=(",", ":")).encode()
        for one in self.topics[endpoint.topic]:
            self.tasks.append(Task(one, message_id, body, await self.now()))
        self.more.set()
        return Marker((token,))

    async def now(self) -> float:
        return time.time() + self.lead

    async def pass_time(self, seconds: float) -> None:
        self.lead += seconds
        self.more.set()

    async def attempts(self, endpoint: Endpoint, marker: Marker) -> list[Attempt]:
        return next(task.tried for task in self.tasks if task.endpoint == endpoint.id and marker.fits(task.body))

    async def enabled(self, endpoint: Endpoint) -> bool:
        return endpoint.id not in self.disabled

    async def enable(self, endpoint: Endpoint) -> None:
        self.disabled.discard(endpoint.id)
        self.failures.pop(endpoint.id, None)
        self.more.set()

    async def rotate(self, endpoint: Endpoint) -> Endpoint:
        new = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        until = await self.now() + (0 if "no-overlap" in self.faults else 3600)
        until = float("inf") if "endless-overlap" in self.faults else until
        self.secrets[endpoint.id] = [(new, float("inf")), (self.secrets[endpoint.id][0][0], until)]
        return endpoint._replace(secret=new)

    async def kill(self) -> None:
        self.loop.cancel()
        for running in [self.loop, *self.running]:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def start(self) -> None:
        if "lossy" in self.faults:
            self.tasks = [task for task in self.tasks if task.tried]
        self.loop = asyncio.create_task(self._work())

    async def _work(self) -> None:
        busy: set[Task] = set()
        while True:
            now = await self.now()
            for task in self.tasks:
                if task.due <= now and task not in busy and task.endpoint not in self.disabled:
                    busy.add(task)
                    running = asyncio.create_task(self._send(task))
                    self.running.add(running)
                    running.add_done_callback(self.running.discard)
                    running.add_done_callback(lambda _, task=task: busy.discard(task))
            self.more.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self.more.wait()

    async def _send(self, task: Task) -> None:
        now, url = await self.now(), self.urls[task.endpoint]
        status, told, error = None, None, None
        number = len(task.tried) + 1
        headers = self._headers(task, now, number)
        body = task.body + b" " * (number - 1) if "other-bytes" in self.faults else task.body
        limit = None if "endless-patience" in self.faults else DEADLINE
        options = {"data": body, "headers": headers, "allow_redirects": "redirects" in self.faults}
        try:
            async with asyncio.timeout(limit), self.web.post(url, **options) as answer:
                status, told = answer.status, answer.headers.get("Retry-After")
                await answer.content.read(65536)
        except (aiohttp.ClientError, TimeoutError) as failed:
            error = type(failed).__name__
        task.tried.append(Attempt(number, status, error))
        good = status is not None and 200 <= status < (400 if "3xx-is-fine" in self.faults else 300)
        self._count(task.endpoint, now, good=good, gone=status == 410)
        task.due = float("inf") if good else self._next(number, now, told)
        self.more.set()

    def _headers(self, task: Task, now: float, number: int) -> dict[str, str]:
        stamp = int(now) if "stale-stamp" not in self.faults or number == 1 else int(now) - 4000
        message_id = task.id if "new-id" not in self.faults else f"{task.id}{number}"
        signatures = []
        for secret, until in self.secrets[task.endpoint]:
            if now < until:
                key = base64.b64decode(secret.removeprefix("whsec_"))
                signed = (
                    task.body if "signs-body-only" in self.faults else f"{message_id}.{stamp}.".encode() + task.body
                )
                signatures.append("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode())
        return {
            "Content-Type": "application/json", "webhook-id": message_id, "webhook-timestamp": str(stamp),
            "webhook-signature": " ".join(signatures), "Accept-Encoding": "identity",
        }  # fmt: skip

    def _next(self, number: int, now: float, told: str | None) -> float:
        if number > len(self.promises.waits):
            return float("inf")
        wait = self.promises.waits[number - 1]
        spread = (-0.1, -0.05) if "early" in self.faults else (0.05, 0.05) if "no-jitter" in self.faults else (0, 0.1)
        wait *= 1 + random.uniform(*spread)
        asked = 0.0
        with suppress(TypeError, ValueError):
            asked = float(told) if told and told.isdigit() else parsedate_to_datetime(told).timestamp() - now
        if "deaf" in self.faults:
            asked = 0.0
        return now + max(wait, min(asked, max(self.promises.waits)))

    def _count(self, endpoint: str, now: float, *, good: bool, gone: bool) -> None:
        failed = self.failures.setdefault(endpoint, [])
        failed[:] = [] if good else [*failed, now]
        after = 4 if "impatient" in self.faults else 5
        if (gone and "ignores-410" not in self.faults) or (len(failed) >= after and failed[-1] - failed[0] >= 60):
            self.disabled.add(endpoint)
