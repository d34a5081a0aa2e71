"""Folders for tests."""

import shutil
import tempfile
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
        shutil.rmtree(place)
