"""What can go wrong with connections.

Misconfigured  x NoConnection   the organizer connects a provider, or allows the platform's
NotFound       x UnknownDoor    the callback URL is not one of ours
               x NoSuchConnection
"""

from temula.kernel.errors import Misconfigured, NotFound


class NoConnection(Misconfigured):
    """Neither the organization nor, for it, the platform has an account with a provider of this kind."""

    code = "no_connection"
    title = "No provider is connected"


class UnknownDoor(NotFound):
    """No connection has this callback token."""

    code = "unknown_callback_address"


class NoSuchConnection(NotFound):
    """There is no such connection."""

    code = "connection_not_found"
