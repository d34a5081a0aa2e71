"""The webhooks still to be sent: rows written with the event, so that neither a crash nor a restart loses one."""

from dataclasses import dataclass

from emulators.payments.stripe import faults
from emulators.payments.stripe.errors import Json
from emulators.payments.stripe.faults import Fault
from emulators.payments.stripe.store import Store

COPIES = 3
HOLD = "webhooks held"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint."""

    id: int
    account: str
    event: str
    endpoint: str
    tries: int
    copies: int


def enqueue(store: Store, account: str, event: Json, now: float) -> None:
    matching = [endpoint for endpoint in store.everything(account, "webhook_endpoint") if _wants(endpoint, event)]
    if not matching:
        return
    state, copies = "pending", 1
    if faults.take(store, Fault.LOSE_WEBHOOK, account):
        state = "lost"
    if faults.take(store, Fault.DUPLICATE, account):
        copies = COPIES
    disorder = faults.take(store, Fault.OUT_OF_ORDER, account) if state == "pending" else None
    for endpoint in matching:
        row = store.database.execute(
            "INSERT INTO deliveries (account, event, type, endpoint, state, due, copies, batch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (account, event["id"], event["type"], endpoint["id"], "held" if disorder else state, now, copies,
             disorder.id if disorder else None),
        ).fetchone()  # fmt: skip
        store.database.execute("UPDATE deliveries SET position = id WHERE id = ?", (row["id"],))
    if disorder and disorder.remaining == 0:
        _turn_around(store, disorder.id)


def _wants(endpoint: Json, event: Json) -> bool:
    enabled = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in enabled or event["type"] in enabled)


def _turn_around(store: Store, batch: int) -> None:
    rows = store.database.execute(
        "SELECT id, position FROM deliveries WHERE batch = ? AND state = 'held' ORDER BY position", (batch,)
    ).fetchall()
    positions = [row["position"] for row in rows]
    for row, position in zip(rows, reversed(positions), strict=True):
        store.database.execute(
            "UPDATE deliveries SET state = 'pending', position = ? WHERE id = ?", (position, row["id"])
        )


def hold(store: Store) -> None:
    store.set(HOLD, "yes")


def release(store: Store) -> None:
    store.set(HOLD, "")
    store.database.execute("UPDATE deliveries SET state = 'pending' WHERE state = 'held'")


def waiting_endpoints(store: Store, now: float) -> list[str]:
    if store.setting(HOLD):
        return []
    rows = store.database.execute(
        "SELECT DISTINCT endpoint FROM deliveries WHERE state = 'pending' AND due <= ?", (now,)
    )
    return [str(row["endpoint"]) for row in rows]


def due(store: Store, endpoint: str, now: float) -> list[Delivery]:
    rows = store.database.execute(
        "SELECT id, account, event, endpoint, tries, copies FROM deliveries"
        " WHERE endpoint = ? AND state = 'pending' AND due <= ? ORDER BY position LIMIT 100",
        (endpoint, now),
    )
    return [Delivery(*row) for row in rows]


def next_due(store: Store) -> float | None:
    if store.setting(HOLD):
        return None
    row = store.database.execute("SELECT min(due) FROM deliveries WHERE state = 'pending'").fetchone()
    return None if row[0] is None else float(row[0])


def pending(store: Store, event: str) -> int:
    row = store.database.execute(
        "SELECT count(*) FROM deliveries WHERE event = ? AND state IN ('pending', 'held')", (event,)
    ).fetchone()
    return int(row[0])


def count(store: Store) -> int:
    return int(store.database.execute("SELECT count(*) FROM deliveries WHERE state = 'pending'").fetchone()[0])


def record(
    store: Store, delivery: Delivery, *, at: float, status: int | None, error: str | None, signature: str
) -> None:
    store.database.execute(
        "INSERT INTO attempts (delivery, at, status, error, signature)"
        " SELECT id, ?, ?, ?, ? FROM deliveries WHERE id = ?",
        (at, status, error, signature, delivery.id),
    )


def succeed(store: Store, delivery: Delivery) -> None:
    """Takes one copy off; the last one ends the delivery."""
    store.database.execute(
        "UPDATE deliveries SET tries = tries + 1, copies = copies - 1,"
        " state = CASE WHEN copies <= 1 THEN 'delivered' ELSE state END WHERE id = ?",
        (delivery.id,),
    )


def postpone(store: Store, delivery: Delivery, until: float) -> None:
    store.database.execute("UPDATE deliveries SET tries = tries + 1, due = ? WHERE id = ?", (until, delivery.id))


def give_up(store: Store, delivery: Delivery) -> None:
    store.database.execute("UPDATE deliveries SET tries = tries + 1, state = 'failed' WHERE id = ?", (delivery.id,))


def drop_endpoint(store: Store, endpoint: str) -> None:
    store.database.execute(
        "UPDATE deliveries SET state = 'failed' WHERE endpoint = ? AND state IN ('pending', 'held')", (endpoint,)
    )


def log(store: Store, account: str | None, limit: int) -> list[Json]:
    """Deliveries, newest first, each with its attempts."""
    rows = store.database.execute(
        "SELECT id, account, event, type, endpoint, state, due, tries FROM deliveries"
        " WHERE ? IS NULL OR account = ? ORDER BY id DESC LIMIT ?",
        (account, account, limit),
    ).fetchall()
    found: list[Json] = []
    for row in rows:
        tries = store.database.execute(
            "SELECT at, status, error, signature FROM attempts WHERE delivery = ? ORDER BY rowid", (row["id"],)
        )
        found.append({**dict(row), "attempts": [dict(attempt) for attempt in tries]})
    return found
