"""Programs of other languages, run where the machine has them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PATIENCE = 120


def need(name: str) -> None:
    """Skip the test, saying so, where a program is missing."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} on this machine: this was NOT run")


def run(*command: object, given: str = "", folder: Path | None = None, **environ: str) -> str:
    """Run a program and give what it printed; it has to end well."""
    done = subprocess.run(
        [str(word) for word in command], input=given, cwd=folder, env={**os.environ, **environ}, timeout=PATIENCE,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
