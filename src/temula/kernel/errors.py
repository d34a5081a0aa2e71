"""What can go wrong, named by what its reader should do next; HTTP statuses are decided in one table at the edge.

TemulaError
 * InvalidInput      the caller sends something else           x NotFound       the caller looks elsewhere
 * Unauthenticated   the caller shows who they are             x NotAllowed     the caller asks for the right
 * Conflict          the caller looks at the state first       x TooMany        the caller waits, then repeats
 * Unavailable       the caller repeats later, we are told     x Misconfigured  the operator or organizer mends it
    x DatabaseAway
"""

from collections.abc import Mapping
from typing import ClassVar


class TemulaError(Exception):
    """Root of every error we raise on purpose; `code` is stable and public, `detail` is for the reader."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, object] = extra


class InvalidInput(TemulaError):
    """The input cannot be accepted as it is; `pointer` names the field (RFC 6901)."""

    code = "invalid_input"
    title = "The input is not valid"

    def __init__(self, detail: str, *, pointer: str | None = None, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.pointer = pointer


class NotFound(TemulaError):
    """No such thing, or not this organization's: the two are told apart to nobody."""

    code = "not_found"
    title = "Not found"


class Unauthenticated(TemulaError):
    """No caller could be recognised."""

    code = "unauthenticated"
    title = "Authentication is needed"


class NotAllowed(TemulaError):
    """The caller is known and may not do this."""

    code = "not_allowed"
    title = "Not allowed"


class Conflict(TemulaError):
    """What is asked does not fit the present state."""

    code = "conflict"
    title = "The present state does not allow this"


class TooMany(TemulaError):
    """A limit was reached; `retry_after` is in whole seconds."""

    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after


class Unavailable(TemulaError):
    """We or somebody we need cannot answer now; nothing was changed."""

    code = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, detail: str, *, retry_after: int = 2, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after


class DatabaseAway(Unavailable):
    """PostgreSQL cannot be reached or went away: nobody can do anything until it is back."""


class Misconfigured(TemulaError):
    """A setting or a credential is missing or wrong."""

    code = "misconfigured"
    title = "Configuration is missing or wrong"
