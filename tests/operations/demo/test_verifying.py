"""How a receiver verifies: the file that the documentation shows, against messages signed by Temula itself."""

from datetime import UTC, datetime, timedelta

from temula.operations.demo.verifying import signed_by_standard_webhooks, signed_by_temula
from temula.outbound.webhooks.model import new_secret, signed_headers

BODY = '{"event_id":"msg_1","data":{"name":"Zoë"}}'.encode()


def headers(*secrets: str, at: datetime | None = None) -> dict[str, str]:
    made = signed_headers("msg_1", BODY, at or datetime.now(UTC), secrets)
    return {name.lower(): value for name, value in made.items()}


def test_both_ways_hold_for_what_was_signed() -> None:
    """A message is believed under its endpoint's secret, and under both while one is being rotated."""
    new, old = new_secret(), new_secret()
    for secret in (new, old):
        assert signed_by_temula(secret, headers(new, old), BODY)
        assert signed_by_standard_webhooks(secret, headers(new, old), BODY)


def test_neither_way_holds_for_anything_else() -> None:
    """Another body, another secret, no signature or one that cannot be read: not believed, and no crash."""
    secret = new_secret()
    wrong = [
        (secret, headers(secret), BODY + b" "),
        (new_secret(), headers(secret), BODY),
        (secret, {}, BODY),
        (secret, dict.fromkeys(headers(secret), "\xe9"), BODY),
        (secret, headers(secret) | {"x-temula-signature": "", "webhook-signature": "v1"}, BODY),
        (secret, headers(secret), b"\xff"),
    ]
    for case in wrong:
        assert not signed_by_temula(*case)
        assert not signed_by_standard_webhooks(*case)


def test_old_messages_are_refused_by_the_standard_way() -> None:
    """A message that somebody recorded and sends again later is refused by its timestamp."""
    secret = new_secret()
    assert not signed_by_standard_webhooks(secret, headers(secret, at=datetime.now(UTC) - timedelta(hours=1)), BODY)
