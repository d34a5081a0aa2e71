"""The kit: a sender that keeps its promises passes, and for each promise that is broken the right check fails."""

import json
import sys
from pathlib import Path

import pytest

from conformance import __main__ as command
from conformance import checks, kit, report
from conformance.kit import Verdict
from conformance.sender import Sender
from tests.clients.programs import run
from tests.conformance.honest import Honest

# What the honest sender does not offer, and what would take a minute of its small machine.
LEFT_OUT = ("hostile.does-not-delay-others", "address.unreadable", "address.disguised")
FAULTS = {
    "signs-body-only": "signature.fits",
    "stale-stamp": "signature.retry-is-stamped-anew",
    "no-overlap": "rotation.both-sign",
    "endless-overlap": "rotation.ends",
    "new-id": "content.stable-on-retry",
    "other-bytes": "content.stable-on-retry",
    "redirects": "answer.3xx",
    "3xx-is-fine": "answer.304-and-4xx",
    "ignores-410": "answer.410",
    "deaf": "retry-after.seconds",
    "early": "retry.schedule",
    "no-jitter": "retry.jitter",
    "any-address": "address.private",
    "impatient": "disable.count",
    "lossy": "crash.while-down",
}


async def results(sender: Sender, *names: str) -> dict[str, kit.Result]:
    wanted = [one for one in checks.CHECKS if not names or one.name in names]
    async with sender:
        return {one.name: one for one in await kit.run(sender, wanted, lambda _: None)}


async def test_an_honest_sender_passes() -> None:
    """Every check passes or asks for what it does not offer."""
    names = [one.name for one in checks.CHECKS if one.name not in LEFT_OUT and not one.name.startswith("hostile.")]
    found = await results(Honest(), *names)
    failed = {name: one.detail for name, one in found.items() if one.verdict == Verdict.FAIL}
    assert failed == {}
    missing = {name for name, one in found.items() if one.verdict == Verdict.NOT_OFFERED}
    assert missing == {
        "replay.one", "replay.complete", "pull.complete", "order.per-key", "order.without-failures",
        "address.rebinding", "address.one-of-several", "address.ipv6-disguise", "address.changed-later",
    }  # fmt: skip
    assert sum(one.verdict == Verdict.PASS for one in found.values()) >= 35


@pytest.mark.parametrize(("fault", "name"), FAULTS.items())
async def test_a_broken_promise_is_found(fault: str, name: str) -> None:
    """The check that is for it fails."""
    found = await results(Honest(fault), name)
    assert found[name].verdict == Verdict.FAIL, found[name]


async def test_results_are_told_to_people_and_programs() -> None:
    """A table with the reasons below it, and the same as JSON."""
    found = list(
        (await results(Honest("signs-body-only"), "signature.fits", "signature.headers", "replay.one")).values()
    )
    shown = report.table("Honest", found)
    assert "signature.fits     FAIL" in shown
    assert "signature.fits: fail: the signature does not fit" in shown
    assert "replay.one: not offered" in shown
    assert shown.endswith("1 pass, 1 fail, 1 not offered")
    told = json.loads(report.document("Honest", found))
    assert told["counts"] == {"pass": 1, "fail": 1, "not offered": 1}
    assert {one["name"] for one in told["checks"]} == {"signature.fits", "signature.headers", "replay.one"}


def test_every_check_is_named_once_and_says_what_it_asks(capsys: pytest.CaptureFixture[str]) -> None:
    """Sixty checks; `--list` shows them; a name that none has is an error."""
    assert len({one.name for one in checks.CHECKS}) == len(checks.CHECKS) >= 55
    assert all(one.title for one in checks.CHECKS)
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out.count("\n") == len(checks.CHECKS)
    assert command.main(["--only", "moon.*"]) == 2
    assert command.main(["--adapter", "nobody"]) == 2


def test_temula_passes(tmp_path: Path) -> None:
    """Real processes, a real clock with a lead, real kills: what of `make conformance` waits out no deadline."""
    names = (
        "signature.*",
        "rotation.*",
        "content.*",
        "answer.*",
        "retry*",
        "disable.*",
        "replay.*",
        "pull.*",
        "order.*",
    )
    wanted = [word for name in (*names, "address.*", "crash.*") for word in ("--only", name)]
    file = tmp_path / "results.json"
    run(sys.executable, "-m", "conformance", *wanted, "--json", file)
    told = json.loads(file.read_bytes())
    assert told["counts"]["fail"] == 0
    assert told["counts"]["pass"] >= 50
