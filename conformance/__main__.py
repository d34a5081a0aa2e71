"""`python -m conformance --adapter temula`: run the checks; exit code 0 if none failed, 1 if one did, 2 if none ran."""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from conformance import checks, kit, report
from conformance.sender import Sender


def main(words: Sequence[str] | None = None) -> int:
    """Run it."""
    asked = _parser().parse_args(words)
    if asked.list:
        sys.stdout.writelines(f"{one.name:<40} {one.title}\n" for one in checks.CHECKS)
        return 0
    wanted = [one for one in checks.CHECKS if not asked.only or any(fnmatch(one.name, text) for text in asked.only)]
    if not wanted:
        sys.stderr.write("conformance: no check has such a name; --list shows them\n")
        return 2
    try:
        sender: Sender = importlib.import_module(f"conformance.adapters.{asked.adapter}").ADAPTER()
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"conformance: there is no adapter {asked.adapter!r} ({missing})\n")
        return 2
    results = asyncio.run(_run(sender, wanted))
    sys.stdout.write(report.table(sender.name, results) + "\n")
    if asked.json:
        asked.json.write_text(report.document(sender.name, results) + "\n")
    return 1 if any(one.verdict == kit.Verdict.FAIL for one in results) else 0


async def _run(sender: Sender, wanted: Sequence[kit.Check]) -> list[kit.Result]:
    def told(result: kit.Result) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{result.name}: {result.verdict.value}")

    async with sender:
        results = await kit.run(sender, wanted, told)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance", description="Check a webhook sender.")
    parser.add_argument("--adapter", default="temula", help="a module of conformance.adapters; default: temula")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="checks by name, like 'retry.*'; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--list", action="store_true", help="list the checks and run none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
