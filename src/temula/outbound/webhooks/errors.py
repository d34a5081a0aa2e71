"""What can go wrong with webhook endpoints.

NotFound      x NoSuchEndpoint   x NoSuchDelivery   x NoSuchMessage   x NoSuchAttempt
InvalidInput  x UrlRefused       give another address
              x HeadersRefused   give other headers
              x FilterInvalid    see docs/reference/webhook-filters.md
Conflict      x EndpointNotEnabled
"""

from temula.kernel.errors import Conflict, InvalidInput, NotFound


class NoSuchEndpoint(NotFound):
    """The organization has no such endpoint."""

    code = "webhook_endpoint_not_found"


class NoSuchDelivery(NotFound):
    """The organization has no such delivery."""

    code = "webhook_delivery_not_found"


class NoSuchMessage(NotFound):
    """The organization has no such message."""

    code = "webhook_message_not_found"


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
