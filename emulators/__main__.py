"""Starts one stand-in: `python -m emulators stripe --port 8081 --state stripe.sqlite3`."""

import argparse
import asyncio
import importlib
import os
import pkgutil
import signal
import sys
from pathlib import Path
from typing import Protocol

import emulators


class StandIn(Protocol):
    """What a provider's package gives by `stand_in(state, host, port, public_url, settings)`."""

    @property
    def base_url(self) -> str: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


def providers() -> dict[str, str]:
    """The packages two levels down, by name: a new provider is found, not listed."""
    found: dict[str, str] = {}
    for region in pkgutil.iter_modules(emulators.__path__):
        if region.ispkg:
            folder = [str(Path(path) / region.name) for path in emulators.__path__]
            named = (module.name for module in pkgutil.iter_modules(folder) if module.ispkg)
            found |= {name: f"emulators.{region.name}.{name}" for name in named}
    return found


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators", description=__doc__)
    parser.add_argument("provider", choices=sorted(providers()))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one, which is printed")
    parser.add_argument("--state", default=":memory:", help="a SQLite file; in memory if left out")
    parser.add_argument("--public-url", help="how buyers reach it, if not at http://HOST:PORT")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the provider's")
    parser.add_argument("--lifeline-fd", type=int, help="exit when this inherited pipe is closed at its far end")
    return parser.parse_args(arguments)


async def serve(stand_in: StandIn, name: str, lifeline: int | None) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if lifeline is not None:
        loop.add_reader(lifeline, _listen, lifeline, ended)
    await stand_in.start()
    sys.stdout.write(f"{name} stand-in listening on {stand_in.base_url}\n")
    sys.stdout.flush()
    await ended.wait()
    if lifeline is not None:
        loop.remove_reader(lifeline)
    await stand_in.stop()


def _listen(lifeline: int, ended: asyncio.Event) -> None:
    if not os.read(lifeline, 4096):
        ended.set()


def main() -> None:
    chosen = parse(sys.argv[1:])
    package = importlib.import_module(providers()[chosen.provider])
    settings = dict(setting.partition("=")[::2] for setting in chosen.set)
    stand_in: StandIn = package.stand_in(chosen.state, chosen.host, chosen.port, chosen.public_url, settings)
    asyncio.run(serve(stand_in, chosen.provider, chosen.lifeline_fd))


if __name__ == "__main__":
    main()
