"""What the processes run: the API server, the worker's loops, the scheduler; each ends cleanly when told to."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
import uvicorn

from temula.kernel.consumers import ConsumerLoop
from temula.kernel.runner import JobRunner, Scheduler
from temula.operations.app import build
from temula.operations.wiring import PLATFORM_ACTOR, Configuration, House, opened

LIFELINE = "TEMULA_LIFELINE_FD"


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *, fast: bool = True) -> None:
    """Run a process until it is done, a signal comes, or whoever started it is gone; on uvloop if it is to be fast."""
    loop_factory = None
    if fast and sys.platform != "win32":
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_until_told(main))


async def _until_told(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch_lifeline(stop.set)
    await main(stop)


def watch_lifeline(stop: Callable[[], None]) -> None:
    """Call `stop` when the pipe named in TEMULA_LIFELINE_FD closes: the supervisor is gone."""
    if (name := os.environ.get(LIFELINE)) is None:
        return
    descriptor = int(name)

    def readable() -> None:
        if not os.read(descriptor, 1):
            asyncio.get_running_loop().remove_reader(descriptor)
            stop()

    asyncio.get_running_loop().add_reader(descriptor, readable)


async def serve_api(configuration: Configuration, stop: asyncio.Event) -> None:
    """Answer HTTP until `stop` is set."""
    async with opened(configuration) as house:
        server = configuration.server
        config = uvicorn.Config(
            build(house), host=server.host, port=server.port, loop="none", http="httptools", log_config=None,
            access_log=False, server_header=False, date_header=True, timeout_graceful_shutdown=10,
            proxy_headers=False, ws="none", lifespan="on", backlog=2048,
        )  # fmt: skip
        uvicorn_server = _Server(config)
        serving = asyncio.create_task(uvicorn_server.serve())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        uvicorn_server.should_exit = True
        await serving
        waiting.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to us, so that all processes stop in the same way."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


async def serve_worker(configuration: Configuration, stop: asyncio.Event) -> None:
    """Read facts, run jobs and deliver webhooks until `stop` is set."""
    async with opened(configuration) as house:
        await _all(stop, worker_loops(house, stop))


def worker_loops(house: House, stop: asyncio.Event) -> list[Awaitable[None]]:
    """Give the worker's loops."""
    loops: list[Awaitable[None]] = [ConsumerLoop(house.database, one).serve(stop) for one in house.consumers]
    loops.append(JobRunner(house.database, house.handlers).serve(stop))
    loops.append(house.deliverer().serve(stop))
    return loops


async def serve_scheduler(configuration: Configuration, stop: asyncio.Event) -> None:
    """Start what the clock starts until `stop` is set."""
    async with opened(configuration) as house:
        await Scheduler(house.database, house.timed, PLATFORM_ACTOR).serve(stop)


async def _all(stop: asyncio.Event, loops: list[Awaitable[None]]) -> None:
    """Run all; if one breaks, stop the others and say so by ending: the supervisor starts the process anew."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def log_as_json() -> None:
    """Write logs as one JSON object a line, to standard error."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def log_quietly() -> None:
    """Write only warnings, one short line each, to standard error: for commands that people watch."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
