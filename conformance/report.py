"""Results as a table for people and as JSON for programs."""

import json
from collections import Counter
from collections.abc import Sequence

from conformance.kit import Result, Verdict

SIGNS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.NOT_OFFERED: "-"}


def table(sender: str, results: Sequence[Result]) -> str:
    """Give the table, failures explained below it."""
    width = max((len(one.name) for one in results), default=4)
    lines = [f"{sender}: {len(results)} checks", ""]
    lines += [f"{one.name:<{width}}  {SIGNS[one.verdict]:<4}  {one.seconds:>6.2f} s  {one.title}" for one in results]
    told = [f"{one.name}: {one.verdict.value}: {one.detail}" for one in results if one.verdict != Verdict.PASS]
    return "\n".join([*lines, "", *told, *([""] if told else []), summary(results)])


def summary(results: Sequence[Result]) -> str:
    """Give the counts in one line."""
    counted = Counter(one.verdict for one in results)
    return ", ".join(f"{counted[verdict]} {verdict.value}" for verdict in Verdict)


def document(sender: str, results: Sequence[Result]) -> str:
    """Give the JSON text."""
    counted = Counter(one.verdict for one in results)
    return json.dumps(
        {
            "sender": sender,
            "counts": {verdict.value: counted[verdict] for verdict in Verdict},
            "checks": [one._asdict() for one in results],
        },
        indent=2,
    )
