"""Clocks: the system's gives aware UTC; the manual one wakes its sleepers in order and at their times."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.kernel.clock import Clock, ManualClock, SharedClock, SystemClock, rfc3339

START = datetime(2026, 11, 23, 10, 15, 0, 123_456, tzinfo=UTC)


async def test_the_systems_clock_is_aware_and_moves() -> None:
    clock: Clock = SystemClock()
    before, ticks = clock.now(), clock.monotonic()
    await clock.sleep(0.001)
    assert clock.now() > before
    assert clock.monotonic() > ticks
    assert before.utcoffset() == timedelta()


def test_the_manual_clock_stands_still_until_moved() -> None:
    clock = ManualClock(START)
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    clock.advance(90.5)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90.5), 90.5)


def test_the_manual_clock_needs_a_timezone_and_goes_forward() -> None:
    with pytest.raises(ValueError, match="timezone"):
        ManualClock(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="back"):
        ManualClock(START).advance(-1)


async def test_advance_wakes_those_who_are_due_in_the_order_of_their_times() -> None:
    clock, woken = ManualClock(START), list[str]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper(n, s)) for n, s in [("c", 3), ("a", 1), ("b1", 2), ("b2", 2), ("z", 60)]]
    await asyncio.sleep(0)
    clock.advance(3)
    await asyncio.gather(*tasks[:4])
    assert woken == ["a", "b1", "b2", "c"]
    tasks[4].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[4]
    clock.advance(100)


async def test_pass_time_stops_at_each_sleepers_time() -> None:
    clock, seen = ManualClock(START), list[float]()

    async def every(seconds: float) -> None:
        while True:
            await clock.sleep(seconds)
            seen.append(clock.monotonic())

    task = asyncio.create_task(every(10))
    await clock.pass_time(35)
    task.cancel()
    assert seen == [10, 20, 30]
    assert clock.monotonic() == 35


async def test_sleeping_no_time_gives_others_a_turn() -> None:
    await asyncio.wait_for(ManualClock(START).sleep(0), 1)


def test_rfc3339_has_milliseconds_and_z_and_cuts() -> None:
    assert rfc3339(START) == "2026-11-23T10:15:00.123Z"
    assert rfc3339(START.replace(microsecond=999_999)) == "2026-11-23T10:15:00.999Z"
    kuala_lumpur = timezone(timedelta(hours=8))
    assert rfc3339(datetime(2026, 1, 1, 4, 0, tzinfo=kuala_lumpur)) == "2025-12-31T20:00:00.000Z"
    with pytest.raises(ValueError, match="timezone"):
        rfc3339(datetime(2026, 1, 1))


@given(st.datetimes(timezones=st.just(UTC)))
def test_rfc3339_reads_back_to_the_millisecond(at: datetime) -> None:
    assert timedelta() <= at - datetime.fromisoformat(rfc3339(at)) < timedelta(milliseconds=1)


def test_the_shared_clock_is_the_servers() -> None:
    """It goes on from what the server told, and a small difference does not make it go back and forth."""
    clock, system = SharedClock(), SystemClock()
    assert abs((clock.now() - system.now()).total_seconds()) < 1, "until it is set"
    told = datetime(2031, 5, 1, 12, tzinfo=UTC)
    clock.set(told, 0.002)
    assert told <= clock.now() < told + timedelta(seconds=1)
    before = clock.now()
    clock.set(before - timedelta(milliseconds=15), 0.002)
    assert clock.now() >= before
    clock.set(told - timedelta(hours=1), 0.002)
    assert clock.now() < told
    assert clock.now().tzinfo is UTC
