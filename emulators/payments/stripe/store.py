"""Everything the stand-in knows, in one SQLite database that outlives `kill -9`: it commits before it answers."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from emulators.payments.stripe.errors import Json

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    hidden TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (account, kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS sessions_open ON objects (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE TABLE IF NOT EXISTS answers (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    created REAL NOT NULL,
    path TEXT NOT NULL,
    parameters TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (account, key)
);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    account TEXT,
    path TEXT,
    method TEXT,
    remaining INTEGER NOT NULL,
    options TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    position INTEGER NOT NULL DEFAULT 0,
    account TEXT NOT NULL,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    due REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    copies INTEGER NOT NULL DEFAULT 1,
    batch INTEGER,
    UNIQUE (event, endpoint)
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due);
CREATE INDEX IF NOT EXISTS deliveries_by_endpoint ON deliveries (endpoint, state, position);
CREATE TABLE IF NOT EXISTS attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    at REAL NOT NULL,
    status INTEGER,
    error TEXT,
    signature TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_by_delivery ON attempts (delivery);
"""
TABLES = ("objects", "answers", "faults", "settings", "attempts", "deliveries")
FILTERS = {
    "payment_intent": "json_extract(body, '$.payment_intent') = ?",
    "charge": "json_extract(body, '$.charge') = ?",
    "customer": "json_extract(body, '$.customer') = ?",
    "status": "json_extract(body, '$.status') = ?",
    "source": "json_extract(body, '$.source') = ?",
    "email": "json_extract(body, '$.email') = ?",
    "types": "json_extract(body, '$.type') IN (SELECT value FROM json_each(?))",
    "created_gte": "json_extract(body, '$.created') >= ?",
    "created_gt": "json_extract(body, '$.created') > ?",
    "created_lte": "json_extract(body, '$.created') <= ?",
    "created_lt": "json_extract(body, '$.created') < ?",
    "delivered": "(NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = objects.id AND d.state <> 'delivered')) = ?",
    "after": "seq < (SELECT seq FROM objects o WHERE o.id = ?)",
    "before": "seq > (SELECT seq FROM objects o WHERE o.id = ?)",
}
PAGE = "SELECT body FROM objects WHERE account = ? AND kind = ? {filters} ORDER BY seq {order} LIMIT ?"


@dataclass(frozen=True, slots=True)
class Row:
    """An object as kept: whose it is, what Stripe shows of it, and what it hides."""

    account: str
    body: Json
    hidden: Json


class Store:
    """One connection, used from one thread; a transaction holds no await, so it is never shared."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 5000"):
            self.database.execute(f"PRAGMA {pragma}")
        self.database.executescript(SCHEMA)

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def add(self, account: str, body: Json, hidden: Json | None = None) -> None:
        self.database.execute(
            "INSERT INTO objects (account, kind, id, body, hidden) VALUES (?, ?, ?, ?, ?)",
            (account, body["object"], body["id"], json.dumps(body), json.dumps(hidden or {})),
        )

    def save(self, body: Json) -> None:
        self.database.execute("UPDATE objects SET body = ? WHERE id = ?", (json.dumps(body), body["id"]))

    def remove(self, id_: str) -> None:
        self.database.execute("DELETE FROM objects WHERE id = ?", (id_,))

    def row(self, kind: str, id_: str) -> Row | None:
        found = self.database.execute(
            "SELECT account, body, hidden FROM objects WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        if found is None:
            return None
        return Row(found["account"], json.loads(found["body"]), json.loads(found["hidden"]))

    def get(self, account: str, kind: str, id_: str) -> Json | None:
        found = self.row(kind, id_)
        return found.body if found is not None and found.account == account else None

    def everything(self, account: str, kind: str) -> list[Json]:
        rows = self.database.execute(
            "SELECT body FROM objects WHERE account = ? AND kind = ? ORDER BY seq", (account, kind)
        )
        return [json.loads(row["body"]) for row in rows]

    def page(
        self, account: str, kind: str, filters: Sequence[tuple[str, object]], limit: int
    ) -> tuple[list[Json], bool]:
        """Newest first, as Stripe lists, and whether there are more; a `before` takes those nearest to it."""
        backwards = any(name == "before" for name, _ in filters)
        clauses = "".join(f" AND {FILTERS[name]}" for name, _ in filters)
        query = PAGE.replace("{filters}", clauses).replace("{order}", "ASC" if backwards else "DESC")
        rows = self.database.execute(query, (account, kind, *(value for _, value in filters), limit + 1)).fetchall()
        bodies = [json.loads(row["body"]) for row in rows[:limit]]
        return bodies[::-1] if backwards else bodies, len(rows) > limit

    def expired_sessions(self, now: float) -> list[Row]:
        rows = self.database.execute(
            "SELECT account, body, hidden FROM objects WHERE kind = 'checkout.session'"
            " AND json_extract(body, '$.status') = 'open' AND json_extract(body, '$.expires_at') <= ?",
            (now,),
        )
        return [Row(row["account"], json.loads(row["body"]), json.loads(row["hidden"])) for row in rows]

    def setting(self, name: str, default: str = "") -> str:
        row = self.database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row["value"])

    def set(self, name: str, value: str) -> None:
        self.database.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))

    def clear(self) -> None:
        with self.transaction():
            for table in TABLES:
                self.database.execute("DELETE FROM {table}".replace("{table}", table))
