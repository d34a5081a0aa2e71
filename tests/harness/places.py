"""Folders for tests."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """Unlike pytest's own, which only their maker can get into, while root's PostgreSQL runs as another user."""
    place = Path(tempfile.mkdtemp(prefix="temula-test-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        _remove(place)


def _remove(place: Path) -> None:
    """What was killed may write for another moment."""
    patience = time.monotonic() + 10
    while True:
        try:
            shutil.rmtree(place)
        except OSError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.05)
        else:
            return
