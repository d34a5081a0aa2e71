"""More API processes on the database of a running Temula, as on several machines."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.harness.api import Api
from tests.harness.house import Running, Tenant, free_port, until


class Fleet:
    """Several API processes; `api(n)` calls one of them in turn."""

    def __init__(self, web: aiohttp.ClientSession, base_urls: list[str]) -> None:
        self._web = web
        self.base_urls = base_urls

    def api(self, tenant: Tenant, turn: int) -> Api:
        return Api(self._web, self.base_urls[turn % len(self.base_urls)], tenant.token)


@asynccontextmanager
async def fleet(temula: Running, size: int = 2) -> AsyncIterator[Fleet]:
    """`size` processes beside the running one; their clients may have any number of requests open at once."""
    ports = [free_port() for _ in range(size)]
    processes = [await _start(temula, port) for port in ports]
    base_urls = [temula.base_url, *(f"http://localhost:{port}" for port in ports)]
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as web:
            for base_url in base_urls:
                await until(lambda base_url=base_url: ready(web, base_url))
            yield Fleet(web, base_urls)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()


async def ready(web: aiohttp.ClientSession, base_url: str) -> bool:
    """Whether the process is there and its database too."""
    try:
        async with web.get(f"{base_url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _start(temula: Running, port: int) -> asyncio.subprocess.Process:
    configuration = temula.house.configuration
    environ = {
        **os.environ,
        "TEMULA_DATABASE_URL": temula.owner_url,
        "TEMULA_KEYS_RING": configuration.keys.ring or "",
        "TEMULA_DATA_DIR": str(configuration.data.folder),
        "TEMULA_SERVER_PORT": str(port),
        "TEMULA_SERVER_PUBLIC_URL": temula.base_url,
        "TEMULA_PROVIDERS_STRIPE_SANDBOX_URL": temula.emulator.base_url,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "temula.operations.cli", "api", env=environ, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
