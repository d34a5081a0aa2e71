"""What the log is searched for, by which of its indexes that is found, and in which steps back."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from temula.kernel.errors import InvalidInput
from temula.outbound.webhooks.model.delivery import Outcome

_STATUS = re.compile(r"[1-9][0-9]{2}")
_CLASS = re.compile(r"[1-9]xx")
FAILED = (Outcome.RETRIED, Outcome.EXHAUSTED, Outcome.GONE)
USUAL_ANSWER = 200
_SUCCESSES = (200, 299)
# How much further back each search goes than the one before it.
STEPS = (timedelta(days=1), timedelta(days=4), timedelta(days=16))


class Answered(NamedTuple):
    """How an attempt was answered: with a status of a range (None: of any), with none at all, or so that it failed."""

    lowest: int | None = None
    highest: int | None = None
    not_at_all: bool = False
    failed: bool = False

    @property
    def exactly(self) -> int | None:
        """The one status that is meant, if it is one."""
        return self.lowest if self.lowest == self.highest else None


def answered(text: str) -> Answered:
    """Read `200`, `5xx`, `failed`, `succeeded` or `none`; raises `InvalidInput` for anything else."""
    if text == "failed":
        return Answered(failed=True)
    if text == "succeeded":
        return Answered(*_SUCCESSES)
    if text == "none":
        return Answered(not_at_all=True, failed=True)
    if _STATUS.fullmatch(text):
        return Answered(int(text), int(text), failed=not 200 <= int(text) < 300)
    if _CLASS.fullmatch(text):
        first = int(text[0]) * 100
        return Answered(first, first + 99, failed=first != 200)
    raise InvalidInput(
        f"{text[:20]!r} is no status to search for: give one (404), a class (5xx), failed, succeeded, or none for no "
        "answer.",
        pointer="/status",
    )


class By(StrEnum):
    """An index of the log, in the order of time; all that fits is among what it leads to."""

    MESSAGES = "messages"
    ERROR = "error"
    STATUS = "status"
    FAILED_OF_ENDPOINT = "failed_of_endpoint"
    FAILED = "failed"
    TYPE = "type"
    ENDPOINT = "endpoint"
    TIME = "time"


class Sought(NamedTuple):
    """What is searched for; all that is given must hold. `types` None is all, `since` and `until` are half open."""

    endpoint_id: str | None = None
    types: tuple[str, ...] | None = None
    answered: Answered | None = None
    outcome: Outcome | None = None
    error: str | None = None
    object_id: str | None = None
    message_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def outcomes(self) -> list[str] | None:
        """The outcomes that fit; None is all."""
        fit = list(Outcome) if self.outcome is None else [self.outcome]
        if self.answered is not None and self.answered.failed:
            fit = [one for one in fit if one in FAILED]
        return None if len(fit) == len(Outcome) else [one.value for one in fit]

    def ways(self) -> list[By]:
        """Give the indexes that lead to it, those that are likely to lead to the fewest others first."""
        outcomes = self.outcomes
        failed = outcomes is not None and Outcome.DELIVERED not in outcomes
        status = self.answered.exactly if self.answered else None
        of_endpoint = self.endpoint_id is not None
        led = {
            By.ERROR: self.error is not None,
            By.STATUS: status is not None and status != USUAL_ANSWER,
            By.FAILED_OF_ENDPOINT: failed and of_endpoint,
            By.FAILED: failed and not of_endpoint,
            By.TYPE: self.types is not None and len(self.types) == 1,
            By.ENDPOINT: of_endpoint and not failed,
        }
        return [by for by, leads in led.items() if leads] or [By.TIME]


def steps_back(start: datetime, since: datetime) -> Iterator[datetime]:
    """Give where each step back from a time ends, the last at `since`."""
    for step in STEPS:
        if start - since <= step:
            break
        start -= step
        yield start
    yield since
