"""What can go wrong at a gate; a refused scan is a result, not an error, because it is recorded.

NotFound  x NoSuchCheckpoint   x NoSuchCheckIn
Conflict  x CheckpointExists   x AlreadyUndone
"""

from temula.kernel.errors import Conflict, NotFound


class NoSuchCheckpoint(NotFound):
    """The organization has no such checkpoint."""

    code = "checkpoint_not_found"


class NoSuchCheckIn(NotFound):
    """The organization has no such check-in."""

    code = "check_in_not_found"


class CheckpointExists(Conflict):
    """The event has a checkpoint of this name."""

    code = "checkpoint_exists"


class AlreadyUndone(Conflict):
    """The check-in was undone before."""

    code = "check_in_undone"
