"""How long `temula up` takes from the command to its ready line: a first start and later ones; aims 90 s and 4 s."""

import statistics
import tempfile

from benchmarks.harness import ROUNDS, reachable, served


def main() -> None:
    """Print medians, and their ratio to the aims."""
    first, later = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="temula-bench-") as scratch:
            folder = reachable(scratch) / "var"
            with served(folder) as running:
                first.append(running.started_in)
            with served(folder) as running:
                later.append(running.started_in)
    for name, took, aim in (("first start", first, 90.0), ("later start", later, 4.0)):
        median = statistics.median(took)
        print(f"{name}: {median:.2f} s (median of {ROUNDS}; {median / aim:.2f} of the aim of {aim:.0f} s)")
