"""Checks, what they are given, and how they are run and graded."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from conformance.receiver import Answer, Mailbox, Receiver
from conformance.sender import Endpoint, NotOffered, Refused, Sender

AT_ONCE = 12
LONGEST = 60.0


class Verdict(StrEnum):
    """What became of a check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOT_OFFERED = "not offered"


class Failed(Exception):
    """The sender does not do what the check asks for; the text says what it did."""


class Check(NamedTuple):
    """One check. `alone` is for those that move the clock or end the sender; the others run side by side."""

    name: str
    title: str
    run: Callable[["Kit"], Awaitable[None]]
    alone: bool
    slow: bool


class Result(NamedTuple):
    """How a check went; `detail` says why it was not passed."""

    name: str
    title: str
    verdict: Verdict
    detail: str
    seconds: float


class Subscribed(NamedTuple):
    """An endpoint at the sender and the mailbox that it delivers to."""

    endpoint: Endpoint
    box: Mailbox


CHECKS: list[Check] = []


def check(name: str, *, alone: bool = False, slow: bool = False) -> Callable[..., Callable[["Kit"], Awaitable[None]]]:
    """Register a check, whose docstring's first line says what is asked for; `slow` ones take a deadline to run."""

    def register(run: Callable[["Kit"], Awaitable[None]]) -> Callable[["Kit"], Awaitable[None]]:
        title = (run.__doc__ or "").strip().splitlines()[0].rstrip(".")
        CHECKS.append(Check(name, title, run, alone, slow))
        return run

    return register


def require(met: object, otherwise: str) -> None:
    """Fail the check unless it is so."""
    if not met:
        raise Failed(otherwise)


class Kit:
    """What one check works with; what it made at the sender is removed when it has ended."""

    def __init__(self, sender: Sender, receiver: Receiver) -> None:
        self.sender = sender
        self.receiver = receiver
        self._made: list[Endpoint] = []
        self._heard: list[Subscribed] = []

    async def subscribed(self, *answers: Answer, otherwise: Answer | None = None, ordered: bool = False) -> Subscribed:
        """Make an endpoint whose mailbox answers so."""
        box = self.receiver.box(*answers, otherwise=otherwise)
        made = Subscribed(await self.create(box.url, ordered=ordered), box)
        self._heard.append(made)
        return made

    async def create(self, url: str, *, ordered: bool = False) -> Endpoint:
        """Make an endpoint at any URL."""
        endpoint = await self.sender.create_endpoint(url, ordered=ordered)
        self._made.append(endpoint)
        return endpoint

    async def shared(self, with_: Endpoint, *answers: Answer) -> Subscribed:
        """Make a second endpoint for the messages of the first."""
        box = self.receiver.box(*answers)
        endpoint = await self.sender.share(with_, box.url)
        self._made.append(endpoint)
        return Subscribed(endpoint, box)

    async def settled(self) -> None:
        """Return once the sender has looked for work again, twice, and has written down what was answered."""
        box = self.receiver.box()
        endpoint = await self.create(box.url)
        for number in (1, 2):
            await self.sender.publish(endpoint)
            require(await box.has(number), "the sender delivers nothing any more, not even to a new endpoint")
        with suppress(NotOffered):
            for heard in self._heard:
                await self.until(partial(self._written, heard), "an attempt that was answered is not in the log")

    async def _written(self, heard: Subscribed) -> bool:
        return await self.sender.logged(heard.endpoint) >= len(heard.box.ended)

    async def until(self, met: Callable[[], Awaitable[object]], otherwise: str) -> None:
        """Wait for what the sender tells of; fail if it does not come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.sender.promises.patience):
                while not await met():  # noqa: ASYNC110 - only by asking do we hear of it
                    await asyncio.sleep(0.05)
                return
        raise Failed(otherwise)

    async def clean_up(self) -> None:
        """Remove what was made; a sender that cannot keeps it."""
        for endpoint in self._made:
            with suppress(NotOffered, Refused):
                await self.sender.delete_endpoint(endpoint)


async def run(sender: Sender, wanted: Iterable[Check], told: Callable[[Result], None]) -> list[Result]:
    """Run checks against a started sender: first those that bear company, then the others one by one."""
    chosen = list(wanted)
    async with Receiver(patience=sender.promises.patience) as receiver:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(check: Check) -> Result:
            # A check that waits out a deadline costs nobody anything and takes no room.
            async with asyncio.Semaphore() if check.slow else room:
                result = await _graded(check, Kit(sender, receiver))
            told(result)
            return result

        together = [one(check) for check in chosen if not check.alone]
        results = list(await asyncio.gather(*together))
        for check in chosen:
            if check.alone:
                results.append(await one(check))  # noqa: PERF401 - one after the other
    order = {check.name: number for number, check in enumerate(chosen)}
    return sorted(results, key=lambda result: order[result.name])


async def _graded(check: Check, kit: Kit) -> Result:
    began, verdict, detail = time.monotonic(), Verdict.PASS, ""
    try:
        async with asyncio.timeout(LONGEST):
            await check.run(kit)
    except NotOffered as missing:
        verdict, detail = Verdict.NOT_OFFERED, f"the adapter has no: {missing}"
    except (Failed, Refused) as failed:
        verdict, detail = Verdict.FAIL, str(failed)
    except TimeoutError:
        verdict, detail = Verdict.FAIL, f"it took more than {LONGEST:.0f} seconds"
    seconds = time.monotonic() - began
    await kit.clean_up()
    return Result(check.name, check.title, verdict, detail, round(seconds, 2))
