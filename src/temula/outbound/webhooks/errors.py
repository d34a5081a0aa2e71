"""What can go wrong with webhook endpoints.

NotFound      x NoSuchEndpoint   x NoSuchDelivery   x NoSuchMessage   x NoSuchAttempt   x NoSuchArchive   x NoSuchReplay
InvalidInput  x UrlRefused       give another address
              x HeadersRefused   give other headers
              x FilterInvalid    see docs/reference/webhook-filters.md
Conflict      x EndpointNotEnabled   x NotGranted   x ReplayOver
Misconfigured x ArchiveBroken    see docs/runbooks/failing-archives.md
"""

from temula.kernel.errors import Conflict, InvalidInput, Misconfigured, NotFound


class NoSuchEndpoint(NotFound):
    """The organization has no such endpoint."""

    code = "webhook_endpoint_not_found"


class NoSuchDelivery(NotFound):
    """The organization has no such delivery."""

    code = "webhook_delivery_not_found"


class NoSuchMessage(NotFound):
    """The organization has no such message."""

    code = "webhook_message_not_found"


class NoSuchArchive(NotFound):
    """The organization has no archive of that day."""

    code = "webhook_archive_not_found"


class ArchiveBroken(Misconfigured):
    """An archive is gone or is not what was written: nothing is removed until an operator has looked at it."""

    code = "webhook_archive_broken"


class NoSuchReplay(NotFound):
    """The organization has no such replay."""

    code = "webhook_replay_not_found"


class NoSuchAttempt(NotFound):
    """The organization's log has no such attempt."""

    code = "webhook_attempt_not_found"


class UrlRefused(InvalidInput):
    """The endpoint's address is not one that we deliver to; `reason` is the rule."""

    code = "webhook_url_refused"


class HeadersRefused(InvalidInput):
    """A header of the endpoint is not one that may be set; `reason` is the rule."""

    code = "webhook_headers_refused"


class FilterInvalid(InvalidInput):
    """The endpoint's filter is not one; the pointer leads to the place."""

    code = "webhook_filter_invalid"


class EndpointNotEnabled(Conflict):
    """The endpoint takes no messages now; enable it first."""

    code = "webhook_endpoint_not_enabled"


class NotGranted(Conflict):
    """The endpoint is a partner's, and was not granted this message; change the grant first."""

    code = "webhook_message_not_granted"


class ReplayOver(Conflict):
    """All of the replay has been sent; start another one to send it again."""

    code = "webhook_replay_over"
