"""How a child process is tied to us: it becomes another user if asked to, and dies when we die, however we die."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h

# Loaded here, because between fork and exec nothing may be imported or allocated that another thread could hold.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def tied(number: signal.Signals, *, uid: int | None = None, gid: int | None = None) -> Callable[[], None]:
    """Give the `preexec_fn` of a child that gets signal `number` (on Linux) when the thread that started it ends.

    The user is changed here and not by subprocess's own arguments, which uvloop does not know; and it is changed
    first, because a process that changes its user loses its wish for that signal.
    """
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        if uid is not None and gid is not None:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if _PRCTL is not None:
            _PRCTL(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:  # we died before the wish was spoken
                os._exit(1)

    return between_fork_and_exec
