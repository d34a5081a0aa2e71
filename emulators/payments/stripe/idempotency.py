"""Stripe's v1 idempotency: the first answer that began to execute is given again for a day.

See https://docs.stripe.com/api/idempotent_requests.
"""

import json
from dataclasses import dataclass

from emulators.payments.stripe.errors import Json, Refusal
from emulators.payments.stripe.store import Store

KEPT_SECONDS = 24 * 3600
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Kept:
    """A first answer, byte for byte."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that carries a key."""

    account: str
    key: str
    path: str
    parameters: str


def attempt(account: str, key: str, path: str, parameters: Json) -> Attempt:
    if len(key) > LONGEST_KEY:
        message = f"Idempotency keys must be {LONGEST_KEY} characters or fewer."
        raise Refusal(message, type="idempotency_error")
    return Attempt(account, key, path, json.dumps(parameters, sort_keys=True))


def in_use(key: str) -> Refusal:
    message = (
        f"There is currently another in-progress request using this Idempotent Key: {key}. "
        "That probably means you submitted twice, and the other request is still going through."
    )
    return Refusal(message, status=409, type="idempotency_error", code="idempotency_key_in_use")


def recall(store: Store, wanted: Attempt, now: float) -> Kept | None:
    store.database.execute("DELETE FROM answers WHERE created < ?", (now - KEPT_SECONDS,))
    row = store.database.execute(
        "SELECT path, parameters, status, body FROM answers WHERE account = ? AND key = ?", (wanted.account, wanted.key)
    ).fetchone()
    if row is None:
        return None
    if row["path"] != wanted.path:
        message = (
            f"Keys for idempotent requests can only be used for the same endpoint they were first used for "
            f"('{wanted.path}' vs '{row['path']}'). Try using a key other than '{wanted.key}'."
        )
        raise Refusal(message, type="idempotency_error")
    if row["parameters"] != wanted.parameters:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{wanted.key}' if you meant to execute a different request."
        )
        raise Refusal(message, type="idempotency_error")
    return Kept(row["status"], bytes(row["body"]))


def keep(store: Store, first: Attempt, now: float, kept: Kept) -> None:
    store.database.execute(
        "INSERT INTO answers (account, key, created, path, parameters, status, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (first.account, first.key, now, first.path, first.parameters, kept.status, kept.body),
    )
