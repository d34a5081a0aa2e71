"""Faults to order: each is a row that matching work uses up, so that a fault outlives a restart as well."""

import json
from dataclasses import dataclass
from enum import StrEnum

from emulators.payments.stripe.errors import Json, Refusal
from emulators.payments.stripe.forms import Fields
from emulators.payments.stripe.ids import account_id
from emulators.payments.stripe.store import Store


class Fault(StrEnum):
    """What can be ordered; `MEANINGS` says what each does."""

    BUSY = "busy"
    SERVER_ERROR = "server-error"
    LOSE_ANSWER = "lose-answer"
    SLOW = "slow"
    GARBAGE = "garbage"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out-of-order"
    LOSE_WEBHOOK = "lose-webhook"
    BAD_SIGNATURE = "bad-signature"
    DECLINE = "decline"
    REFUND_FAILS = "refund-fails"


MEANINGS = {
    Fault.BUSY: "answer 429 (or 503 with status=503) before executing",
    Fault.SERVER_ERROR: "answer 500 once execution began; the idempotency key keeps that answer",
    Fault.LOSE_ANSWER: "execute, commit, then drop the connection without an answer",
    Fault.SLOW: "execute, then answer after `seconds`",
    Fault.GARBAGE: "execute, then answer 200 with something that is not JSON",
    Fault.DUPLICATE: "deliver an event's webhook three times",
    Fault.OUT_OF_ORDER: "hold back `count` events, then deliver them in reverse order",
    Fault.LOSE_WEBHOOK: "never deliver an event's webhook",
    Fault.BAD_SIGNATURE: "sign one webhook wrongly, then retry it signed rightly",
    Fault.DECLINE: "decline the next payment",
    Fault.REFUND_FAILS: "answer a refund as pending (or status=succeeded), then let it fail",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One use of a fault."""

    id: int
    remaining: int
    options: Json


def order(store: Store, wanted: Json) -> Json:
    fields = Fields({name: str(value) for name, value in wanted.items() if value is not None})
    fields.only("fault", "count", "path", "method", "key", "seconds", "status")
    fault = Fault(fields.choice("fault", *Fault) or _no_fault())
    count = fields.integer("count", least=1) or (2 if fault is Fault.OUT_OF_ORDER else 1)
    options = {"seconds": float(wanted.get("seconds") or 1), "status": wanted.get("status")}
    account = account_of(key) if (key := fields.text("key")) else None
    store.database.execute(
        "INSERT INTO faults (kind, account, path, method, remaining, options) VALUES (?, ?, ?, ?, ?, ?)",
        (fault, account, fields.text("path"), fields.text("method"), count, json.dumps(options)),
    )
    return {"fault": fault, "count": count, "meaning": MEANINGS[fault]}


def _no_fault() -> str:
    raise Refusal(f"Name a fault: {', '.join(Fault)}", param="fault")


def account_of(key: str) -> str:
    return key if key.startswith("acct_") else account_id(key)


def ordered(store: Store) -> list[Json]:
    rows = store.database.execute("SELECT * FROM faults ORDER BY id").fetchall()
    return [
        {
            "fault": row["kind"],
            "account": row["account"],
            "path": row["path"],
            "method": row["method"],
            "count": row["remaining"],
            **json.loads(row["options"]),
        }
        for row in rows
    ]


def withdraw(store: Store) -> None:
    store.database.execute("DELETE FROM faults")


def take(store: Store, fault: Fault, account: str, *, path: str = "", method: str = "") -> Taken | None:
    """Uses up one of the oldest matching fault, if there is any."""
    row = store.database.execute(
        "SELECT id, remaining, options FROM faults WHERE kind = ? AND (account IS NULL OR account = ?)"
        " AND (path IS NULL OR substr(?, 1, length(path)) = path) AND (method IS NULL OR method = ?)"
        " ORDER BY id LIMIT 1",
        (fault, account, path, method),
    ).fetchone()
    if row is None:
        return None
    if row["remaining"] == 1:
        store.database.execute("DELETE FROM faults WHERE id = ?", (row["id"],))
    else:
        store.database.execute("UPDATE faults SET remaining = remaining - 1 WHERE id = ?", (row["id"],))
    return Taken(row["id"], row["remaining"] - 1, json.loads(row["options"]))
