"""A `temula up` that is killed piece by piece, and started again where nobody else does it."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import stripe

from tests.harness.api import Api
from tests.harness.house import free_port, until
from tests.operations.processes import Program, Programs, lives

CHILDREN = ("api", "worker", "scheduler", "stripe-stand-in")
VICTIMS = (*CHILDREN, "api", "worker", "supervisor", "supervisor", "postgres")


class Standing:
    """The process tree of one data folder."""

    def __init__(self, programs: Programs, folder: Path, web: aiohttp.ClientSession) -> None:
        self._programs, self._folder, self._web = programs, folder, web
        self._environ = {"TEMULA_DATA_DIR": str(folder), "PORT": str(free_port())}
        self._up: Program | None = None
        self.started_in: list[float] = []

    async def start(self) -> None:
        began = time.monotonic()
        self._up = await self._programs.temula("up", **self._environ)
        await self._up.line("Home page")
        self.started_in.append(time.monotonic() - began)

    async def stop(self) -> None:
        """As with Ctrl-C, if it still runs."""
        if self._up is not None and self._up.process.returncode is None:
            self._up.process.send_signal(signal.SIGINT)
            await self._up.rest()

    @property
    def quickstart(self) -> dict[str, str]:
        return self._json("quickstart.json")

    @property
    def owner_url(self) -> str:
        return (self._folder / "run" / "database-url").read_text().strip()

    @property
    def stand_in(self) -> str:
        return f"http://127.0.0.1:{(self._folder / 'run' / 'stripe-stand-in.port').read_text().strip()}"

    def _json(self, name: str) -> dict[str, Any]:
        return json.loads((self._folder / name).read_text())

    def api(self) -> Api:
        return Api(self._web, self.quickstart["base_url"], self.quickstart["token"])

    def stripe(self) -> stripe.StripeClient:
        """The official client of the sandbox's account."""
        key, http = self._json("sandbox.json")["stripe_key"], stripe.AIOHTTPClient(session=self._web)
        return stripe.StripeClient(key, base_addresses={"api": self.stand_in}, http_client=http, max_network_retries=0)

    async def kill(self, victim: str) -> None:
        """`kill -9` one piece; who is not started anew by the supervisor is started anew here."""
        assert self._up is not None
        if victim == "supervisor":
            await self._up.kill()
        elif victim == "postgres":
            note = self._folder / "postgres" / "data" / "postmaster.pid"
            os.kill(int(note.read_text().splitlines()[0]), signal.SIGKILL)
            code, said = await self._up.rest()
            assert (code, said.count("PostgreSQL ended by itself")) == (2, 1), said
        else:
            await self._kill_child(victim)
            return
        await self.start()

    async def _kill_child(self, name: str) -> None:
        number = self._number(name)
        if number is None or not lives(number):
            return  # it was killed before and is not back yet
        os.kill(number, signal.SIGKILL)

        async def gone() -> bool:
            return not lives(number) or self._number(name) != number

        await until(gone)

    def _number(self, name: str) -> int | None:
        note = self._folder / "run" / f"{name}.pid"
        text = note.read_text().split() if note.exists() else []
        return int(text[0]) if text else None
