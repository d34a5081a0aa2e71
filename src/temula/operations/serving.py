"""What the processes run: the API server, the worker's loops, the scheduler; each until it is told to stop."""

import asyncio
from collections.abc import Awaitable

from temula.kernel.consumers import ConsumerLoop
from temula.kernel.runner import JobRunner, Scheduler
from temula.operations.configuration import Configuration
from temula.operations.running import collect_rarely
from temula.operations.wiring import PLATFORM_ACTOR, House, opened


async def serve_api(configuration: Configuration, stop: asyncio.Event) -> None:
    """Answer HTTP until `stop` is set."""
    from temula.operations.app import server  # the web framework is slow to load, and only this process needs it

    async with opened(configuration) as house:
        answering = server(house)
        serving = asyncio.create_task(answering.serve())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        answering.should_exit = True
        await serving
        waiting.cancel()


async def serve_worker(configuration: Configuration, stop: asyncio.Event) -> None:
    """Read facts, run jobs and deliver webhooks until `stop` is set."""
    async with opened(configuration) as house:
        collect_rarely()
        await _all(stop, worker_loops(house, stop))


def worker_loops(house: House, stop: asyncio.Event) -> list[Awaitable[None]]:
    """Give the worker's loops."""
    loops: list[Awaitable[None]] = [ConsumerLoop(house.database, one).serve(stop) for one in house.consumers]
    loops.append(JobRunner(house.database, house.handlers).serve(stop))
    loops.append(house.deliverer().serve(stop))
    loops.append(house.replayer().serve(stop))
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
