"""Every SQL statement of check-ins."""

from temula.domain.checkins.model import CheckIn, Checkpoint
from temula.kernel.database import UnitOfWork
from temula.kernel.ids import CheckInId
from temula.kernel.pages import Window
from temula.kernel.sql import Statement, columns

INSERT_CHECKPOINT = Statement("""
INSERT INTO checkpoints (organization_id, id, event_id, name, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
""")
CHECKPOINT = Statement(f"SELECT {columns(Checkpoint)} FROM checkpoints WHERE organization_id = $1 AND id = $2")
LIST_CHECKPOINTS = Statement(f"""
SELECT {columns(Checkpoint)} FROM checkpoints WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_CHECKPOINTS_OF_EVENT = Statement(f"""
SELECT {columns(Checkpoint)} FROM checkpoints WHERE organization_id = $1 AND id < $2 AND event_id = $4
ORDER BY id DESC LIMIT $3
""")
# No reading first: whoever inserts while the unique index check_ins_once lets it was first.
ADMIT = Statement(f"""
INSERT INTO check_ins ({columns(CheckIn)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)
ON CONFLICT (organization_id, ticket_id) WHERE undone_at IS NULL DO NOTHING
""")
STANDING = Statement(f"""
SELECT {columns(CheckIn)} FROM check_ins WHERE organization_id = $1 AND ticket_id = $2 AND undone_at IS NULL
""")
GET = Statement(f"SELECT {columns(CheckIn)} FROM check_ins WHERE organization_id = $1 AND id = $2")
LIST = Statement(f"""
SELECT {columns(CheckIn)} FROM check_ins WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
""")
LIST_OF_EVENT = Statement(f"""
SELECT {columns(CheckIn)} FROM check_ins WHERE organization_id = $1 AND id < $2 AND event_id = $4
ORDER BY id DESC LIMIT $3
""")
UNDO = Statement("""
UPDATE check_ins SET undone_at = $3 WHERE organization_id = $1 AND id = $2 AND undone_at IS NULL
""")
REFUSE = Statement("""
INSERT INTO refused_scans (organization_id, id, event_id, checkpoint_id, ticket_id, reason, actor_kind, actor_id, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
""")
COUNT = Statement("SELECT count(*) FROM check_ins WHERE organization_id = $1 AND undone_at IS NULL")


async def insert_checkpoint(uow: UnitOfWork, checkpoint: Checkpoint) -> bool:
    """Add a checkpoint; False if the event has one of this name."""
    values = (getattr(checkpoint, name) for name in checkpoint.__struct_fields__)
    return bool(await uow.run(INSERT_CHECKPOINT, *values))


async def checkpoint(uow: UnitOfWork, checkpoint_id: str) -> Checkpoint | None:
    """Find a checkpoint."""
    return await uow.row(Checkpoint, CHECKPOINT, uow.organization_id, checkpoint_id)


async def checkpoints(uow: UnitOfWork, window: Window, event_id: str | None) -> list[Checkpoint]:
    """List checkpoints, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if event_id is None:
        return await uow.rows(Checkpoint, LIST_CHECKPOINTS, *asked)
    return await uow.rows(Checkpoint, LIST_CHECKPOINTS_OF_EVENT, *asked, event_id)


async def admit(uow: UnitOfWork, check_in: CheckIn) -> bool:
    """Add a check-in; False if one stands for this ticket."""
    return bool(
        await uow.run(
            ADMIT, check_in.organization_id, check_in.id, check_in.event_id, check_in.checkpoint_id, check_in.ticket_id,
            check_in.attendee_id, check_in.method, check_in.actor_kind, check_in.actor_id, check_in.at,
        )
    )  # fmt: skip


async def standing(uow: UnitOfWork, ticket_id: str) -> CheckIn | None:
    """Find the check-in that stands for a ticket."""
    return await uow.row(CheckIn, STANDING, uow.organization_id, ticket_id)


async def get(uow: UnitOfWork, check_in_id: str) -> CheckIn | None:
    """Find a check-in."""
    return await uow.row(CheckIn, GET, uow.organization_id, check_in_id)


async def listed(uow: UnitOfWork, window: Window, event_id: str | None) -> list[CheckIn]:
    """List check-ins, newest first."""
    asked = (uow.organization_id, window.before, window.fetch)
    if event_id is None:
        return await uow.rows(CheckIn, LIST, *asked)
    return await uow.rows(CheckIn, LIST_OF_EVENT, *asked, event_id)


async def undo(uow: UnitOfWork, check_in_id: str) -> bool:
    """Mark a check-in as undone; False if it was."""
    return bool(await uow.run(UNDO, uow.organization_id, check_in_id, uow.now))


async def refuse(uow: UnitOfWork, scan_id: CheckInId, at: Checkpoint, ticket_id: str | None, reason: str) -> None:
    """Keep a refused scan."""
    await uow.run(
        REFUSE, uow.organization_id, scan_id, at.event_id, at.id, ticket_id, reason, uow.actor.kind.value,
        uow.actor.id, uow.now,
    )  # fmt: skip


async def count(uow: UnitOfWork) -> int:
    """Count check-ins that stand."""
    return int(await uow.value(COUNT, uow.organization_id))
