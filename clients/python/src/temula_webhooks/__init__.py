"""Verify the webhooks that Temula sends.

webhook = Webhook("whsec_...")
message = webhook.verify(body, headers)  # raises NotGenuine
"""

from temula_webhooks.message import Message, parse
from temula_webhooks.verifying import TOLERANCE, NotGenuine, Webhook

__all__ = ["TOLERANCE", "Message", "NotGenuine", "Webhook", "parse"]
__version__ = "0.1.0"
