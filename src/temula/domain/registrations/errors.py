"""What can go wrong with registrations.

NotFound  x NoSuchRegistration   x NoSuchAttendee
Conflict  x RegistrationState    look at the registration first
"""

from temula.kernel.errors import Conflict, NotFound


class NoSuchRegistration(NotFound):
    """The organization has no such registration."""

    code = "registration_not_found"


class NoSuchAttendee(NotFound):
    """The organization has no such attendee."""

    code = "attendee_not_found"


class RegistrationState(Conflict):
    """The registration's state does not allow this."""

    code = "registration_state"
