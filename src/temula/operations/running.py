"""How a process of ours runs: until it is told to end, writing logs. Loads little: each command starts with it."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from temula.operations.children import LIFELINE


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a process until it is done, a signal comes, or whoever started it is gone."""
    loop_factory = None
    if sys.platform != "win32":
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


def collect_rarely() -> None:
    """Look for cycles of garbage less often, and never among what is loaded by now.

    A worker makes tens of thousands of short-lived objects a second, hardly any in a cycle: looking through them at
    Python's own pace takes a fifth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def log_as_json() -> None:
    """Write logs as one JSON object a line, to standard error: ours, and warnings of the libraries we use."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
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


def log_nothing() -> None:
    """Write no logs: for commands that say themselves, to whoever watches, what went wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
