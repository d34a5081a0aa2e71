"""One holder at a time: a lock on a file, which the kernel gives back however its holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temula.kernel.errors import Misconfigured


@contextmanager
def held(file: Path, taken: str) -> Iterator[None]:
    """Hold `file` inside the block; if somebody else does, raise `Misconfigured` that says `taken` and names them."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.open("a+")
    except OSError as error:
        raise Misconfigured(
            f"{file} cannot be written ({error.strerror}): start as the user who owns it, or set TEMULA_DATA_DIR to a "
            "folder that can be written."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise Misconfigured(
                f"{taken} ({holder}); stop it first, or set TEMULA_DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield
