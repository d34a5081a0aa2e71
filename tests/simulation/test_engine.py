"""The core of delivery under everything that can go wrong, in virtual time: one seed is one world, run to its end.

`TEMULA_SIMULATION_SEED=n` runs one seed again, `TEMULA_SIMULATION_SEEDS=n` so many.
"""

import itertools
import os
from collections import Counter, defaultdict

import pytest

from temula.outbound.webhooks.model import DISABLE_AFTER, DISABLE_OVER, GONE, JITTER, WAITS, Outcome
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import FAULTS_END, SETTLED_WITHIN, START, Arrival, World, by_endpoint, most_at_once

ONE = os.environ.get("TEMULA_SIMULATION_SEED")
SEEDS = int(os.environ.get("TEMULA_SIMULATION_SEEDS", "2000"))
PARTS = 8
MISSED_WITHIN = 500
LATE = 10.0  # seconds after which a settled world's due delivery has been begun


def seeds(part: int) -> range:
    return range(int(ONE), int(ONE) + 1) if ONE is not None else range(part, SEEDS, PARTS)


@pytest.mark.parametrize("part", range(1 if ONE is not None else PARTS))
def test_every_world_ends_well(part: int) -> None:
    """Nothing lost, nothing unexpected, order, caps, rates and times kept, disabled only for the reason promised."""
    for seed in seeds(part):
        world = World(seed)
        try:
            world.run()
            check(world)
        except Exception as error:
            raise AssertionError(f"TEMULA_SIMULATION_SEED={seed} repeats this world: {error}") from error


@pytest.mark.parametrize("rule", MUTANTS)
def test_a_rule_that_is_left_out_is_missed(rule: str) -> None:
    """The same worlds, without one of the rules: soon one of them does not end well."""
    for seed in range(MISSED_WITHIN):
        world = World(seed, **MUTANTS[rule]._asdict())
        world.run()
        try:
            check(world)
        except AssertionError:
            return
    raise AssertionError(f"{MISSED_WITHIN} worlds ended well without: {rule}")


def check(world: World) -> None:
    nothing_is_lost(world)
    each_attempt_counts_once(world)
    repeats_are_bounded(world)
    one_sends_at_a_time(world)
    order_is_kept(world)
    caps_and_rates_hold(world)
    nothing_is_early(world)
    who_is_disabled_has_earned_it(world)


def nothing_is_lost(world: World) -> None:
    """Each delivery ends once: it arrived, or all of its attempts failed. None arrives that was not made."""
    assert not world.store.rows, f"{len(world.store.rows)} still wait at {world.now:.0f}"
    assert world.now < SETTLED_WITHIN
    ended = [one for one in world.store.log if one.outcome != Outcome.RETRIED]
    assert Counter(one.delivery_id for one in ended) == Counter(dict.fromkeys(world.added, 1))
    arrived = {one.delivery_id for one in world.ledger if one.succeeded}
    assert {one.delivery_id for one in world.ledger} <= set(world.added)
    for one in ended:
        assert one.delivery_id in arrived if one.outcome == Outcome.DELIVERED else one.number == len(WAITS) + 1


def each_attempt_counts_once(world: World) -> None:
    """What is logged of a delivery is its first attempt, its second and so on, whatever was said twice or too late."""
    numbers = defaultdict(list)
    for one in world.store.log:
        numbers[one.delivery_id].append(one.number)
    for delivery_id, counted in numbers.items():
        assert counted == list(range(1, len(counted) + 1)), (delivery_id, counted)


def repeats_are_bounded(world: World) -> None:
    """What arrived is sent again only if something broke before that was recorded: at most what was under way."""
    arrived: dict[str, Arrival] = {}
    for one in world.ledger:
        before = arrived.get(one.delivery_id)
        assert before is None or before.excused, f"{one.delivery_id} came again, and nothing had broken"
        if one.succeeded:
            arrived[one.delivery_id] = one


def one_sends_at_a_time(world: World) -> None:
    """An endpoint never has attempts of two workers under way: caps, rates and order rest on that."""
    for endpoint_id, arrivals in by_endpoint(world.ledger).items():
        until: dict[int, float] = {}
        for one in arrivals:
            others = [end for worker, end in until.items() if worker != one.worker]
            assert max(others, default=0.0) <= one.began + 1e-6, f"two at a time at {endpoint_id}, at {one.began:.1f}"
            ended = one.began if one.ended is None else one.ended
            until[one.worker] = max(until.get(one.worker, 0.0), ended)


def order_is_kept(world: World) -> None:
    """Of one key the next is begun only when the one before it has arrived, or was given up, and nobody is at it."""
    first, last = {}, defaultdict(float)
    for one in world.ledger:
        first.setdefault(one.delivery_id, one.began)
        last[one.delivery_id] = max(last[one.delivery_id], one.began if one.ended is None else one.ended)
    over = {
        one.delivery_id: (one.at - START).total_seconds() for one in world.store.log if one.outcome != Outcome.RETRIED
    }
    keys = defaultdict(list)
    for row in world.added.values():
        if row.order_key is not None:
            keys[row.endpoint_id, row.order_key].append(row.id)
    for ids in keys.values():
        for before, behind in itertools.pairwise(ids):
            assert over[before] <= first[behind] + 1e-6, f"{behind} overtook {before}"
            assert last[before] <= first[behind] + 1e-6, f"{behind} was sent beside {before}"


def caps_and_rates_hold(world: World) -> None:
    """At no moment has a receiver more than its cap, in no second more than its rate, whoever sent."""
    for endpoint_id, arrivals in by_endpoint(world.ledger).items():
        endpoint = world.store.endpoints[endpoint_id]
        if endpoint.cap is not None:
            assert most_at_once(arrivals) <= endpoint.cap, endpoint_id
        if endpoint.rate is not None:
            began = [one.began for one in arrivals]
            for n, at in enumerate(began):
                inside = [one for one in began[n:] if one < at + 1.0 - 1e-6]
                # Who takes a queue over from the dead begins with a bucket of its own: one a second and a tenth.
                new = len({one.worker for one in arrivals if at <= one.began < at + 1.0}) - 1
                assert len(inside) <= endpoint.rate + new * max(1.0, endpoint.rate / 10), (endpoint_id, at)


def nothing_is_early(world: World) -> None:
    """An attempt that follows a recorded failure waits at least as long as the schedule says, unless it was hurried."""
    failed = {(one.delivery_id, one.number): one for one in world.store.log if one.outcome == Outcome.RETRIED}
    disabled = {endpoint_id for endpoint_id, _, _ in world.store.disabled}
    for one in world.ledger:
        before = failed.get((one.delivery_id, one.number - 1))
        if before is not None and one.endpoint_id not in disabled:
            waited = one.began - (before.at - START).total_seconds()
            assert waited >= WAITS[before.number - 1] - 1e-6, one
            if (
                one.began > FAULTS_END + 120
                and before.status != 429
                and world.store.endpoints[one.endpoint_id].rate is None
            ):
                late = waited - WAITS[before.number - 1] * (1 + JITTER)
                assert late <= LATE or world.store.endpoints[one.endpoint_id].ordered, one


def who_is_disabled_has_earned_it(world: World) -> None:
    """Counted again from the log: five completed failures in a row over at least a minute, or a 410."""
    for endpoint_id, at, logged in world.store.disabled:
        tried = [one for one in world.store.log[:logged] if one.endpoint_id == endpoint_id]
        failed = []
        for one in reversed(tried):
            if one.status is not None and 200 <= one.status < 300:
                break
            failed.append(one)
        long_enough = at - min(one.began for one in failed) >= DISABLE_OVER
        assert any(one.status == GONE for one in failed) or (len(failed) >= DISABLE_AFTER and long_enough)
