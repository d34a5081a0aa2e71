"""Looks names up on a few threads of our own: one waits as long as the name server makes it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

Resolve = Callable[[str], Awaitable[Sequence[str]]]

RESOLVER_THREADS: Final = 8


class SystemResolver:
    """The operating system's resolver. Whoever asks for a name that is being looked up waits for the same answer."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def public(self, host: str) -> Sequence[str]:
        """The addresses of a name in the public DNS, or of `localhost`."""
        # The dot keeps the search domains of resolv.conf out of what a customer's host can mean.
        return await self.look_up(host if host == "localhost" else f"{host}.")

    async def look_up(self, name: str) -> Sequence[str]:
        """The addresses of the name. Raises `OSError`."""
        running = self._running.get(name)
        if running is None:
            # One dead name, asked a hundred times, holds one thread and not all of them.
            running = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, name)
            self._running[name] = running
            running.add_done_callback(lambda ended: self._ended(name, ended))
        return list(dict.fromkeys(await asyncio.shield(running)))

    def _ended(self, name: str, ended: "asyncio.Future[list[str]]") -> None:
        del self._running[name]
        if not ended.cancelled():
            ended.exception()  # seen, though nobody may be waiting any more

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]
