"""Every SQL statement of organizations."""

from temula.domain.organizations.model import Member, Organization, Team
from temula.kernel.database import UnitOfWork
from temula.kernel.sql import Statement, columns

INSERT = Statement("""
INSERT INTO organizations (organization_id, name, mode, twin_id, plan, requests_per_minute, features,
    platform_payments, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
""")
GET = Statement(f"SELECT {columns(Organization)} FROM organizations WHERE organization_id = $1")
LIST = Statement(f"SELECT {columns(Organization)} FROM organizations ORDER BY organization_id")
UPDATE = Statement("""
UPDATE organizations SET name = $2, plan = $3, requests_per_minute = $4, features = $5, platform_payments = $6
WHERE organization_id = $1
""")
INSERT_MEMBER = Statement("""
INSERT INTO members (organization_id, id, email, name, role, password_hash, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization_id, lower(email)) DO NOTHING
""")
MEMBERS = Statement(f"SELECT {columns(Member)} FROM members WHERE organization_id = $1 ORDER BY id")
MEMBERS_LOCKED = Statement(f"""
SELECT {columns(Member)} FROM members WHERE organization_id = $1 ORDER BY id FOR UPDATE
""")
MEMBERS_BY_EMAIL = Statement(f"SELECT {columns(Member)} FROM members WHERE lower(email) = lower($1) ORDER BY id")
UPDATE_ROLE = Statement("UPDATE members SET role = $3 WHERE organization_id = $1 AND id = $2")
INSERT_TEAM = Statement("""
INSERT INTO teams (organization_id, id, name, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (organization_id, name) DO NOTHING
""")
TEAMS = Statement(f"SELECT {columns(Team)} FROM teams WHERE organization_id = $1 ORDER BY id")
TEAM = Statement(f"SELECT {columns(Team)} FROM teams WHERE organization_id = $1 AND id = $2")
JOIN_TEAM = Statement("""
INSERT INTO team_members (organization_id, team_id, member_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
""")


async def insert(uow: UnitOfWork, org: Organization) -> None:
    """Add an organization."""
    await uow.run(
        INSERT, org.organization_id, org.name, org.mode, org.twin_id, org.plan, org.requests_per_minute, org.features,
        org.platform_payments, org.created_at,
    )  # fmt: skip


async def get(uow: UnitOfWork, organization_id: str) -> Organization | None:
    """Find an organization."""
    return await uow.row(Organization, GET, organization_id)


async def every(uow: UnitOfWork) -> list[Organization]:
    """List the organizations that this unit of work sees."""
    return await uow.rows(Organization, LIST)


async def update(uow: UnitOfWork, org: Organization) -> None:
    """Write what may change."""
    await uow.run(
        UPDATE, org.organization_id, org.name, org.plan, org.requests_per_minute, org.features, org.platform_payments
    )


async def insert_member(uow: UnitOfWork, member: Member) -> bool:
    """Add a member; False if the email address is taken."""
    return bool(await uow.run(INSERT_MEMBER, *_values(member)))


async def members(uow: UnitOfWork) -> list[Member]:
    """List the organization's members."""
    return await uow.rows(Member, MEMBERS, uow.organization_id)


async def members_locked(uow: UnitOfWork) -> list[Member]:
    """List the organization's members and keep others from changing them until the commit."""
    return await uow.rows(Member, MEMBERS_LOCKED, uow.organization_id)


async def members_by_email(uow: UnitOfWork, email: str) -> list[Member]:
    """Find the members with an email address in the organizations that this unit of work sees."""
    return await uow.rows(Member, MEMBERS_BY_EMAIL, email)


async def update_role(uow: UnitOfWork, member_id: str, role: str) -> bool:
    """Change a member's role."""
    return bool(await uow.run(UPDATE_ROLE, uow.organization_id, member_id, role))


async def insert_team(uow: UnitOfWork, team: Team) -> bool:
    """Add a team; False if its name is taken."""
    return bool(await uow.run(INSERT_TEAM, team.organization_id, team.id, team.name, team.created_at))


async def teams(uow: UnitOfWork) -> list[Team]:
    """List the organization's teams."""
    return await uow.rows(Team, TEAMS, uow.organization_id)


async def team(uow: UnitOfWork, team_id: str) -> Team | None:
    """Find a team."""
    return await uow.row(Team, TEAM, uow.organization_id, team_id)


async def join_team(uow: UnitOfWork, team_id: str, member_id: str) -> None:
    """Put a member into a team."""
    await uow.run(JOIN_TEAM, uow.organization_id, team_id, member_id)


def _values(member: Member) -> tuple[object, ...]:
    return (
        member.organization_id, member.id, member.email, member.name, member.role, member.password_hash,
        member.created_at,
    )  # fmt: skip
