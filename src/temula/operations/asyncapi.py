"""The AsyncAPI 3.0 document of what webhooks tell: one channel, a message for each type (https://www.asyncapi.com)."""

from typing import Any

from temula.operations import catalogue

HEADERS = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature", "X-Temula-Signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The message's id: the same at every attempt and replay"},
        "webhook-timestamp": {"type": "string", "description": "When this attempt was made, in Unix seconds"},
        "webhook-signature": {
            "type": "string",
            "description": "Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over id.timestamp.body; two entries "
            "while a secret is rotated",
        },
        "X-Temula-Signature": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "HMAC-SHA256 of the body"},
        "X-Temula-Signature-Previous": {
            "type": "string", "pattern": "^[0-9a-f]{64}$",
            "description": "The same under the previous secret, while it is rotated",
        },
    },
}  # fmt: skip


def document() -> dict[str, Any]:
    """Give the document."""
    types = catalogue.event_types().data
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Temula webhooks",
            "version": "1",
            "description": "Signed messages about what happens, POSTed to the endpoints that you add. Answer with 2xx "
            "within 15 seconds; anything else is tried again.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "endpoint": {
                "address": None,
                "description": "The URL of a webhook endpoint, as you gave it",
                "messages": {one.type: {"$ref": f"#/components/messages/{one.type}"} for one in types},
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": "#/channels/endpoint"},
                "summary": "Temula sends each message that an endpoint asked for, at least once",
                "messages": [{"$ref": f"#/channels/endpoint/messages/{one.type}"} for one in types],
            }
        },
        "components": {
            "messages": {
                one.type: {
                    "name": one.type, "title": one.type, "summary": one.description,
                    "contentType": "application/json", "headers": {"$ref": "#/components/schemas/headers"},
                    "payload": {"$ref": f"#/components/schemas/{one.type}"},
                    "examples": [{"payload": one.example}],
                }
                for one in types
            },
            "schemas": {"headers": HEADERS, **{one.type: _plain(one.schema) for one in types}},
        },
    }  # fmt: skip


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    # Their own identity would make references within the document lead elsewhere.
    return {name: value for name, value in schema.items() if name not in ("$schema", "$id")}
