"""The demo's receiver of webhooks: a small ASGI app on loopback that verifies a message before it believes it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import uvicorn

from temula.operations.demo.reckoning import Arrival
from temula.operations.demo.verifying import signed_by_standard_webhooks, signed_by_temula

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Receiver:
    """Hands every webhook to `heard`. It takes none before it was given the endpoint's secret."""

    def __init__(self, heard: Callable[[Arrival], None]) -> None:
        self._heard = heard
        self.secret: str | None = None
        self.url = ""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 204 to what verifies, 401 to what does not: Temula sends that again later."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        status = self._take(headers, await _body(receive))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        if self.secret is None:
            return 503
        by_temula = signed_by_temula(self.secret, headers, body)
        by_standard = signed_by_standard_webhooks(self.secret, headers, body)
        message = json.loads(body) if by_temula or by_standard else {}
        arrival = Arrival(
            headers.get("webhook-id", "no id"), str(message.get("event_type", "unreadable")), message.get("data", {}),
            by_temula, by_standard,
        )  # fmt: skip
        self._heard(arrival)
        return 204 if arrival.verified else 401


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


class _Server(uvicorn.Server):
    """Leaves Ctrl-C to the demo, which has an endpoint to clean up."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # the base is a generator
        return nullcontext()


@asynccontextmanager
async def receiving(heard: Callable[[Arrival], None]) -> AsyncIterator[Receiver]:
    """Listen on a free port of loopback."""
    receiver = Receiver(heard)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        receiver.url = f"http://127.0.0.1:{listening.getsockname()[1]}/hooks"
        config = uvicorn.Config(
            receiver, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = _Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield receiver
        finally:
            server.should_exit = True
            await serving
