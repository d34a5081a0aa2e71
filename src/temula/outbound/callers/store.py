"""Every SQL statement of tokens, sessions and idempotency keys."""

from datetime import datetime

import msgspec

from temula.kernel.database import UnitOfWork
from temula.kernel.sealing import sealed
from temula.kernel.sql import Statement, columns
from temula.outbound.callers.model import Session, Token

INSERT_TOKEN = Statement(f"INSERT INTO api_tokens ({columns(Token)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
TOKEN_BY_HASH = Statement(f"SELECT {columns(Token)} FROM api_tokens WHERE hash = $1")
TOKENS = Statement(f"SELECT {columns(Token)} FROM api_tokens WHERE organization_id = $1 ORDER BY id")
REVOKE_TOKEN = Statement("""
UPDATE api_tokens SET revoked_at = $3 WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL
""")
TOUCH = Statement("UPDATE api_tokens SET last_used_at = $2 WHERE id = ANY($1::text[])")
INSERT_SESSION = Statement(f"INSERT INTO sessions ({columns(Session)}) VALUES ($1, $2, $3, $4, $5, $6)")
SESSION_BY_HASH = Statement(f"SELECT {columns(Session)} FROM sessions WHERE hash = $1 AND expires_at > $2")
DELETE_SESSION = Statement("DELETE FROM sessions WHERE hash = $1")
CLAIM_KEY = Statement("""
INSERT INTO idempotency_keys (organization_id, caller_id, key, fingerprint, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
""")
KEY = Statement("""
SELECT fingerprint, resource_id, status, answer, created_at FROM idempotency_keys
WHERE organization_id = $1 AND caller_id = $2 AND key = $3
""")
SET_RESOURCE = Statement("""
UPDATE idempotency_keys SET resource_id = $4 WHERE organization_id = $1 AND caller_id = $2 AND key = $3
""")
SET_ANSWER = Statement("""
UPDATE idempotency_keys SET status = $4, answer = $5 WHERE organization_id = $1 AND caller_id = $2 AND key = $3
""")
DELETE_OLD_KEYS = Statement("DELETE FROM idempotency_keys WHERE created_at < $1")
SEALED = (
    sealed(
        "idempotency_keys", "answer", key=("organization_id", "caller_id", "key"),
        context="organization_id || '|idempotency_keys|' || caller_id || '|' || key",
    ),
)  # fmt: skip
DELETE_OLD_SESSIONS = Statement("DELETE FROM sessions WHERE expires_at < $1")


class KeptKey(msgspec.Struct, frozen=True):
    """What became of the first request with an Idempotency-Key."""

    fingerprint: bytes
    resource_id: str | None
    status: int | None
    answer: bytes | None
    created_at: datetime


async def insert_token(uow: UnitOfWork, token: Token) -> None:
    """Add a token."""
    await uow.run(INSERT_TOKEN, *(getattr(token, name) for name in token.__struct_fields__))


async def token_by_hash(uow: UnitOfWork, digest: bytes) -> Token | None:
    """Find a token by its hash; only a crossing unit of work sees them all."""
    return await uow.row(Token, TOKEN_BY_HASH, digest)


async def tokens(uow: UnitOfWork) -> list[Token]:
    """List the organization's tokens."""
    return await uow.rows(Token, TOKENS, uow.organization_id)


async def revoke_token(uow: UnitOfWork, token_id: str) -> bool:
    """Revoke a token; False if it was."""
    return bool(await uow.run(REVOKE_TOKEN, uow.organization_id, token_id, uow.now))


async def touch(uow: UnitOfWork, token_ids: list[str]) -> None:
    """Note that tokens were used."""
    await uow.run(TOUCH, token_ids, uow.now)


async def insert_session(uow: UnitOfWork, session: Session) -> None:
    """Add a session."""
    await uow.run(INSERT_SESSION, *(getattr(session, name) for name in session.__struct_fields__))


async def session_by_hash(uow: UnitOfWork, digest: bytes) -> Session | None:
    """Find a session that has not ended; only a crossing unit of work sees them all."""
    return await uow.row(Session, SESSION_BY_HASH, digest, uow.now)


async def delete_session(uow: UnitOfWork, digest: bytes) -> None:
    """End a session."""
    await uow.run(DELETE_SESSION, digest)


async def claim_key(uow: UnitOfWork, key: str, fingerprint: bytes) -> bool:
    """Take an Idempotency-Key; False if it was taken. Waits for whoever is taking it at this moment."""
    return bool(await uow.run(CLAIM_KEY, uow.organization_id, uow.actor.id, key, fingerprint, uow.now))


async def kept_key(uow: UnitOfWork, key: str) -> KeptKey | None:
    """Find what became of the first request with this key."""
    return await uow.row(KeptKey, KEY, uow.organization_id, uow.actor.id, key)


async def set_resource(uow: UnitOfWork, key: str, resource_id: str) -> None:
    """Note what the first request made, while its answer is not known yet."""
    await uow.run(SET_RESOURCE, uow.organization_id, uow.actor.id, key, resource_id)


async def set_answer(uow: UnitOfWork, key: str, status: int, answer: bytes) -> None:
    """Keep the first request's answer, for repeats."""
    await uow.run(SET_ANSWER, uow.organization_id, uow.actor.id, key, status, answer)


async def delete_old(uow: UnitOfWork, keys_before: datetime) -> int:
    """Remove Idempotency-Keys made before a time, and sessions that ended."""
    return await uow.run(DELETE_OLD_KEYS, keys_before) + await uow.run(DELETE_OLD_SESSIONS, uow.now)
