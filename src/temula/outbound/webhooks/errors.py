"""What can go wrong with webhook endpoints.

NotFound      x NoSuchEndpoint   x NoSuchDelivery
InvalidInput  x UrlRefused       give another address
"""

from temula.kernel.errors import InvalidInput, NotFound


class NoSuchEndpoint(NotFound):
    """The organization has no such endpoint."""

    code = "webhook_endpoint_not_found"


class NoSuchDelivery(NotFound):
    """The organization has no such delivery."""

    code = "webhook_delivery_not_found"


class UrlRefused(InvalidInput):
    """The endpoint's address is not one that we deliver to; `reason` is the rule."""

    code = "webhook_url_refused"
