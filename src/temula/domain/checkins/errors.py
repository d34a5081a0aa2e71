"""What can go wrong at a gate; a refused scan is a result, not an error, because it is recorded.

NotFound  x NoSuchCheckpoint   x NoSuchCheckIn
Conflict  x CheckpointExists   x AlreadyUndone
          x AlreadyUsed        x WrongEvent      never raised: their codes name refused scans
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


class AlreadyUsed(Conflict):
    """The ticket has admitted somebody; the answer tells who let them in, when and where."""

    code = "ticket_already_used"
    title = "The ticket is not admitted"


class WrongEvent(Conflict):
    """The ticket is for another event than the gate."""

    code = "wrong_event"
    title = "The ticket is not admitted"
