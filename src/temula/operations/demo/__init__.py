"""`temula demo`: the main job against a running server, through public doors only, with every webhook accounted for."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from temula.kernel.clock import SystemClock
from temula.kernel.errors import Unavailable
from temula.kernel.http import Http, HttpError
from temula.operations.calling import Api, Buyer, Refused
from temula.operations.demo.receiver import receiving
from temula.operations.demo.reckoning import Arrival, Ledger, NotHeard, Sent
from temula.operations.demo.stage import Stage
from temula.operations.demo.walk import Walk, WentWrong

PATIENCE = 30.0
UNAUTHENTICATED = 401


class Access(msgspec.Struct, frozen=True):
    """What the demo needs of `quickstart.json`."""

    base_url: str
    token: str


def play(folder: Path, base_url: str | None, pause: float) -> int:
    """Play it; 0 if everything came out as it should, 1 if not. Raises `Unavailable` if no server is there."""
    # What goes wrong is told on the stage, or is the error that is raised.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    file = folder / "quickstart.json"
    try:
        access = msgspec.json.decode(file.read_bytes(), type=Access)
    except FileNotFoundError:
        raise Unavailable(f"{file} does not exist: start Temula first, with `make run` or `temula up`.") from None
    if base_url is not None:
        access = msgspec.structs.replace(access, base_url=base_url)
    return asyncio.run(perform(access, Stage(), pause=pause))


async def perform(access: Access, stage: Stage, *, pause: float = 0.0, patience: float = PATIENCE) -> int:
    """Play it on a stage; `pause` is the rest between acts and `patience` the longest wait, both in seconds."""
    clock, ledger = SystemClock(), Ledger()
    began = clock.monotonic()

    def heard(arrival: Arrival) -> None:
        stage.webhook(arrival)
        ledger.take(arrival)

    async with Http(user_agent="Temula-Demo") as http:
        api = Api(http, access.base_url, access.token)
        await _greet(api)
        async with receiving(heard) as receiver:
            walk = Walk(api, Buyer(http), receiver, stage, ledger, clock, patience)
            with stage:
                troubles, sent = await _played(walk, stage, pause)
    return _judged(stage, ledger, troubles, sent, clock.monotonic() - began)


async def _greet(api: Api) -> None:
    """Make sure that there is a server and that it knows us, before the curtain rises."""
    try:
        await api.get("/organization")
    except HttpError:
        raise Unavailable(
            f"Nothing answers at {api.base_url}: start Temula first, with `make run` or `temula up`."
        ) from None
    except Refused as refused:
        if refused.status != UNAUTHENTICATED:
            raise Unavailable(f"{api.base_url} does not answer as Temula does: {refused}.") from None
        raise Unavailable(f"{api.base_url} does not know the token of quickstart.json: is it another server?") from None


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
