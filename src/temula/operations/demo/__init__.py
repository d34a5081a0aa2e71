"""`temula demo`: the main job against a running server, through public doors only, with every webhook accounted for."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from temula.kernel.clock import SystemClock
from temula.kernel.http import Http, HttpError
from temula.operations.calling import Access, Api, Buyer, Refused, access, greet
from temula.operations.demo.receiver import receiving
from temula.operations.demo.reckoning import Arrival, Ledger, NotHeard, Sent
from temula.operations.demo.stage import Stage
from temula.operations.demo.walk import Walk, WentWrong
from temula.operations.running import log_nothing

PATIENCE = 30.0


def play(folder: Path, base_url: str | None, pause: float) -> int:
    """Play it; 0 if everything came out as it should, 1 if not. Raises `Unavailable` if no server is there."""
    # What goes wrong is told on the stage, or is the error that is raised.
    log_nothing()
    return asyncio.run(perform(access(folder, base_url), Stage(), pause=pause))


async def perform(known: Access, stage: Stage, *, pause: float = 0.0, patience: float = PATIENCE) -> int:
    """Play it on a stage; `pause` is the rest between acts and `patience` the longest wait, both in seconds."""
    clock, ledger = SystemClock(), Ledger()
    began = clock.monotonic()

    def heard(arrival: Arrival) -> None:
        stage.webhook(arrival)
        ledger.take(arrival)

    async with Http(user_agent="Temula-Demo") as http:
        api = Api(http, known.base_url, known.token)
        await greet(api)
        async with receiving(heard) as receiver:
            walk = Walk(api, Buyer(http), receiver, stage, ledger, clock, patience)
            with stage:
                troubles, sent = await _played(walk, stage, pause)
    return _judged(stage, ledger, troubles, sent, clock.monotonic() - began)


async def _played(walk: Walk, stage: Stage, pause: float) -> tuple[list[str], list[Sent]]:
    """Play the acts until one goes wrong, read what was sent, and clean up in any case; give what went wrong first."""
    troubles: list[str] = []
    sent: list[Sent] = []
    try:
        with _noting(troubles):
            for number, (title, act) in enumerate(walk.acts, 1):
                stage.act(number, len(walk.acts), title)
                await act()
                await asyncio.sleep(pause)
        with _noting(troubles):
            sent = await walk.sent()
    finally:
        with _noting(troubles):
            await walk.clean_up()
    return troubles, sent


@contextmanager
def _noting(troubles: list[str]) -> Iterator[None]:
    try:
        yield
    except (WentWrong, NotHeard, Refused, HttpError) as error:
        troubles.append(str(error))


def _judged(stage: Stage, ledger: Ledger, troubles: list[str], sent: Sequence[Sent], seconds: float) -> int:
    stage.table(ledger.lines(sent))
    if faults := [*troubles, *ledger.faults(sent)]:
        stage.bad(faults)
        return 1
    stage.good(f"All {len(sent)} webhooks were sent, delivered and verified twice, in {seconds:.1f} seconds.")
    return 0
