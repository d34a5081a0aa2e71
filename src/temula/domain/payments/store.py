"""Every SQL statement of payments."""

from collections.abc import Mapping

import msgspec

from temula.domain.payments.model import Attempt, Payment, Refund, Transaction
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import OrganizationId
from temula.kernel.pages import Window
from temula.kernel.sql import Statement, columns

INSERT = Statement(f"""
INSERT INTO payments ({columns(Payment)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
""")
GET = Statement(f"SELECT {columns(Payment)} FROM payments WHERE organization_id = $1 AND id = $2")
LOCK = Statement(f"SELECT {columns(Payment)} FROM payments WHERE organization_id = $1 AND id = $2 FOR UPDATE")
OF_REGISTRATION = Statement(f"""
SELECT {columns(Payment)} FROM payments WHERE organization_id = $1 AND registration_id = $2 ORDER BY id
""")
LIST = Statement(f"""
SELECT {columns(Payment)} FROM payments WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_OF_REGISTRATION = Statement(f"""
SELECT {columns(Payment)} FROM payments WHERE organization_id = $1 AND id < $2 AND registration_id = $4
ORDER BY id DESC LIMIT $3
""")
UPDATE = Statement("""
UPDATE payments SET state = $3, captured = $4, refunded = $5, updated_at = $6 WHERE organization_id = $1 AND id = $2
""")
INSERT_ATTEMPT = Statement(f"""
INSERT INTO payment_attempts ({columns(Attempt)})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
""")
ATTEMPT = Statement(f"SELECT {columns(Attempt)} FROM payment_attempts WHERE organization_id = $1 AND id = $2")
LOCK_ATTEMPT = Statement(f"""
SELECT {columns(Attempt)} FROM payment_attempts WHERE organization_id = $1 AND id = $2 FOR UPDATE
""")
ATTEMPTS = Statement(f"""
SELECT {columns(Attempt)} FROM payment_attempts WHERE organization_id = $1 AND payment_id = $2 ORDER BY number
""")
UPDATE_ATTEMPT = Statement("""
UPDATE payment_attempts SET state = $3, failure = $4, declines = $5, next_action_kind = $6, next_action_url = $7,
    updated_at = $8
WHERE organization_id = $1 AND id = $2
""")
KEEP_REF = Statement("""
INSERT INTO provider_refs (organization_id, connection_id, kind, provider_ref, object_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
""")
BY_REF = Statement("""
SELECT object_id FROM provider_refs
WHERE organization_id = $1 AND connection_id = $2 AND kind = $3 AND provider_ref = $4
""")
OWNER = Statement("""
SELECT organization_id FROM provider_refs WHERE connection_id = $1 AND kind = $2 AND provider_ref = $3
""")
REFS = Statement("SELECT kind, provider_ref FROM provider_refs WHERE organization_id = $1 AND object_id = $2")
INSERT_REFUND = Statement(f"""
INSERT INTO refunds ({columns(Refund)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
""")
REFUND = Statement(f"SELECT {columns(Refund)} FROM refunds WHERE organization_id = $1 AND id = $2")
LOCK_REFUND = Statement(f"SELECT {columns(Refund)} FROM refunds WHERE organization_id = $1 AND id = $2 FOR UPDATE")
REFUNDS_OF = Statement(
    f"SELECT {columns(Refund)} FROM refunds WHERE organization_id = $1 AND payment_id = $2 ORDER BY id"
)
LIST_REFUNDS = Statement(f"""
SELECT {columns(Refund)} FROM refunds WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_REFUNDS_OF_REGISTRATION = Statement(f"""
SELECT {columns(Refund)} FROM refunds WHERE organization_id = $1 AND id < $2 AND registration_id = $4
ORDER BY id DESC LIMIT $3
""")
UPDATE_REFUND = Statement("""
UPDATE refunds SET state = $3, failure = $4, updated_at = $5 WHERE organization_id = $1 AND id = $2
""")
INSERT_TRANSACTION = Statement("""
INSERT INTO payment_transactions (organization_id, id, payment_id, kind, state, amount, currency, reference, failure,
    at, observed_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (organization_id, payment_id, observed_key) DO NOTHING
""")
TRANSACTIONS = Statement(f"""
SELECT {columns(Transaction)} FROM payment_transactions WHERE organization_id = $1 AND payment_id = $2 ORDER BY id
""")


class _Ref(msgspec.Struct, frozen=True):
    kind: str
    provider_ref: str


async def insert(uow: UnitOfWork, payment: Payment, attempt: Attempt) -> None:
    """Add a payment and its first attempt."""
    await uow.run(INSERT, *(getattr(payment, name) for name in payment.__struct_fields__))
    await insert_attempt(uow, attempt)


async def insert_attempt(uow: UnitOfWork, attempt: Attempt) -> None:
    """Add an attempt."""
    await uow.run(INSERT_ATTEMPT, *(getattr(attempt, name) for name in attempt.__struct_fields__))


async def get(uow: UnitOfWork, payment_id: str) -> Payment | None:
    """Find a payment."""
    return await uow.row(Payment, GET, uow.organization_id, payment_id)


async def lock(uow: UnitOfWork, payment_id: str) -> Payment | None:
    """Find a payment and keep others from changing it until the commit."""
    return await uow.row(Payment, LOCK, uow.organization_id, payment_id)


async def of_registration(uow: UnitOfWork, registration_id: str) -> list[Payment]:
    """List a registration's payments, oldest first."""
    return await uow.rows(Payment, OF_REGISTRATION, uow.organization_id, registration_id)


async def listed(uow: UnitOfWork, window: Window, registration_id: str | None) -> list[Payment]:
    """List payments, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if registration_id is None:
        return await uow.rows(Payment, LIST, *asked)
    return await uow.rows(Payment, LIST_OF_REGISTRATION, *asked, registration_id)


async def update(uow: UnitOfWork, payment: Payment) -> None:
    """Write a payment's state and sums."""
    await uow.run(
        UPDATE, payment.organization_id, payment.id, payment.state, payment.captured, payment.refunded, uow.now
    )


async def attempt(uow: UnitOfWork, attempt_id: str) -> Attempt | None:
    """Find an attempt."""
    return await uow.row(Attempt, ATTEMPT, uow.organization_id, attempt_id)


async def lock_attempt(uow: UnitOfWork, attempt_id: str) -> Attempt | None:
    """Find an attempt and keep others from changing it until the commit."""
    return await uow.row(Attempt, LOCK_ATTEMPT, uow.organization_id, attempt_id)


async def attempts(uow: UnitOfWork, payment_id: str) -> list[Attempt]:
    """List a payment's attempts in order."""
    return await uow.rows(Attempt, ATTEMPTS, uow.organization_id, payment_id)


async def update_attempt(uow: UnitOfWork, changed: Attempt) -> None:
    """Write an attempt's state and next action."""
    await uow.run(
        UPDATE_ATTEMPT, changed.organization_id, changed.id, changed.state, changed.failure, changed.declines,
        changed.next_action_kind, changed.next_action_url, uow.now,
    )  # fmt: skip


async def keep_refs(uow: UnitOfWork, connection_id: str, object_id: str, refs: Mapping[str, str]) -> None:
    """Remember the provider's ids of an attempt or refund."""
    for kind, ref in sorted(refs.items()):
        await uow.run(KEEP_REF, uow.organization_id, connection_id, kind, ref, object_id)


async def by_refs(uow: UnitOfWork, connection_id: str, refs: Mapping[str, str]) -> str | None:
    """Find our object by any of the provider's ids."""
    for kind, ref in refs.items():
        found: str | None = await uow.value(BY_REF, uow.organization_id, connection_id, kind, ref)
        if found is not None:
            return found
    return None


async def owner(uow: UnitOfWork, connection_id: str, refs: Mapping[str, str]) -> OrganizationId | None:
    """Find whose object has one of the provider's ids; only a crossing unit of work sees them all."""
    for kind, ref in refs.items():
        found: str | None = await uow.value(OWNER, connection_id, kind, ref)
        if found is not None:
            return OrganizationId(found)
    return None


async def refs(uow: UnitOfWork, object_id: str) -> dict[str, str]:
    """Give the provider's ids of an attempt or refund, by kind."""
    return {row.kind: row.provider_ref for row in await uow.rows(_Ref, REFS, uow.organization_id, object_id)}


async def insert_refund(uow: UnitOfWork, refund: Refund) -> None:
    """Add a refund."""
    await uow.run(INSERT_REFUND, *(getattr(refund, name) for name in refund.__struct_fields__))


async def refund(uow: UnitOfWork, refund_id: str) -> Refund | None:
    """Find a refund."""
    return await uow.row(Refund, REFUND, uow.organization_id, refund_id)


async def lock_refund(uow: UnitOfWork, refund_id: str) -> Refund | None:
    """Find a refund and keep others from changing it until the commit."""
    return await uow.row(Refund, LOCK_REFUND, uow.organization_id, refund_id)


async def refunds_of(uow: UnitOfWork, payment_id: str) -> list[Refund]:
    """List a payment's refunds, oldest first."""
    return await uow.rows(Refund, REFUNDS_OF, uow.organization_id, payment_id)


async def list_refunds(uow: UnitOfWork, window: Window, registration_id: str | None) -> list[Refund]:
    """List refunds, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if registration_id is None:
        return await uow.rows(Refund, LIST_REFUNDS, *asked)
    return await uow.rows(Refund, LIST_REFUNDS_OF_REGISTRATION, *asked, registration_id)


async def update_refund(uow: UnitOfWork, changed: Refund) -> None:
    """Write a refund's state."""
    await uow.run(UPDATE_REFUND, changed.organization_id, changed.id, changed.state, changed.failure, uow.now)


async def insert_transaction(uow: UnitOfWork, transaction: Transaction, observed_key: str) -> bool:
    """Add a transaction; False if this observation has made one already."""
    values = (getattr(transaction, name) for name in transaction.__struct_fields__)
    return bool(await uow.run(INSERT_TRANSACTION, *values, observed_key))


async def transactions(uow: UnitOfWork, payment_id: str) -> list[Transaction]:
    """List a payment's transactions, oldest first."""
    return await uow.rows(Transaction, TRANSACTIONS, uow.organization_id, payment_id)
