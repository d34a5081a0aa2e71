"""Runs the benchmarks one after the other: `python -m benchmarks [name ...]`."""

import importlib
import os
import pkgutil
import sys

import benchmarks

HELPERS = {"__main__", "harness", "receivers"}


def main() -> None:
    """Run those that are named, or all."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in HELPERS]
    asked = sys.argv[1:] or names
    if unknown := sorted(set(asked) - set(names)):
        sys.stderr.write(f"benchmarks: there is no {unknown[0]}; there are: {', '.join(names)}\n")
        sys.exit(2)
    print(f"Python {sys.version}, {os.cpu_count()} cores")  # how it was built matters: up to a fifth of a worker's rate
    for name in asked:
        print(f"\n== {name}")
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
