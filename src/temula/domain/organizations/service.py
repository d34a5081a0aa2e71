"""Use cases of organizations."""

from collections.abc import Mapping

from temula.domain.organizations import store
from temula.domain.organizations.errors import LastOwner, MemberExists, NoSuchMember, NoSuchTeam, TeamExists
from temula.domain.organizations.model import Member, Mode, Organization, Plan, Role, Team
from temula.kernel.clock import Clock
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import InvalidInput, NotFound
from temula.kernel.ids import MEMBER, ORGANIZATION, TEAM, MemberId, OrganizationId
from temula.kernel.passwords import hash_password, matches
from temula.kernel.tenancy import system

SHORTEST_PASSWORD = 8  # NIST SP 800-63B, 3.1.1.2


async def create_twins(database: Database, *, name: str, plan: Plan, part: str) -> tuple[Organization, Organization]:
    """Create a live organization and its sandbox twin; give both."""
    name = _named(name)
    live_id, sandbox_id = _new_id(database.clock), _new_id(database.clock)
    live = await create(database, live_id, name=name, mode=Mode.LIVE, plan=plan, twin_id=sandbox_id, part=part)
    sandbox = await create(
        database, sandbox_id, name=f"{name} (sandbox)", mode=Mode.SANDBOX, plan=plan, twin_id=live_id, part=part
    )
    return live, sandbox


async def create(
    database: Database, organization_id: OrganizationId, *, name: str, mode: Mode, plan: Plan,
    twin_id: OrganizationId | None, part: str,
) -> Organization:  # fmt: skip
    """Create one organization, in a unit of work of its own."""
    async with database.unit(system(part, organization_id)) as uow:
        organization = Organization(organization_id, name, mode, twin_id, plan, None, [], mode is Mode.SANDBOX, uow.now)
        await store.insert(uow, organization)
        uow.audit("organization.create", organization_id, {"name": name, "mode": mode, "plan": plan})
    return organization


async def current(uow: UnitOfWork) -> Organization:
    """Give the organization that this unit of work is for."""
    if (organization := await store.get(uow, uow.organization_id)) is None:
        raise NotFound(f"There is no organization {uow.organization_id}.")
    return organization


async def every(database: Database) -> list[Organization]:
    """List all organizations."""
    async with database.crossing("listing organizations for the operator") as uow:
        return await store.every(uow)


async def change(uow: UnitOfWork, changed: Organization) -> None:
    """Write an organization's name, plan, rate, features and payment fallback."""
    before = await current(uow)
    await store.update(uow, changed)
    uow.audit("organization.change", changed.organization_id, {"from": _auditable(before), "to": _auditable(changed)})


async def add_member(uow: UnitOfWork, *, email: str, name: str, role: Role, password: str | None) -> Member:
    """Add a person; a password lets them sign in to the console."""
    email = email.strip()
    if "@" not in email or len(email) > 254:
        raise InvalidInput("The email address is not valid.", pointer="/email")
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise InvalidInput(f"A password has at least {SHORTEST_PASSWORD} characters.", pointer="/password")
    hashed = await hash_password(password) if password is not None else None
    member = Member(uow.organization_id, MEMBER.new(uow.now), email, _named(name), role, hashed, uow.now)
    if not await store.insert_member(uow, member):
        raise MemberExists(f"{email} is a member already.")
    uow.audit("member.add", member.id, {"role": role})
    return member


async def members(uow: UnitOfWork) -> list[Member]:
    """List the organization's members."""
    return await store.members(uow)


async def set_role(uow: UnitOfWork, member_id: str, role: Role) -> None:
    """Change what a member may do; the last owner stays one."""
    everybody = {one.id: one for one in await store.members_locked(uow)}
    member = _member(everybody, member_id)
    others = [one for one in everybody.values() if one.role == Role.OWNER and one.id != member.id]
    if member.role == Role.OWNER and role is not Role.OWNER and not others:
        raise LastOwner(f"{member.email} is the last owner; make somebody else an owner first.")
    await store.update_role(uow, member.id, role)
    uow.audit("member.set_role", member_id, {"role": role})


async def sign_in(database: Database, email: str, password: str) -> Member | None:
    """Find the member whose email address and password these are."""
    async with database.crossing("finding the member who signs in") as uow:
        found = await store.members_by_email(uow, email)
    if not found:
        await matches(None, password)  # takes as long as for a member, so nobody learns who is one
    for member in found:
        if await matches(member.password_hash, password):
            return member
    return None


async def add_team(uow: UnitOfWork, name: str) -> Team:
    """Add a team."""
    team = Team(uow.organization_id, TEAM.new(uow.now), _named(name), uow.now)
    if not await store.insert_team(uow, team):
        raise TeamExists(f"There is a team {team.name}.")
    uow.audit("team.add", team.id, {"name": team.name})
    return team


async def teams(uow: UnitOfWork) -> list[Team]:
    """List the organization's teams."""
    return await store.teams(uow)


async def get_team(uow: UnitOfWork, team_id: str) -> Team:
    """Find a team of the organization."""
    if (team := await store.team(uow, team_id)) is None:
        raise NoSuchTeam(f"The organization has no team {team_id}.")
    return team


async def join_team(uow: UnitOfWork, team_id: str, member_id: str) -> None:
    """Put a member into a team."""
    team = await get_team(uow, team_id)
    member = _member({one.id: one for one in await store.members(uow)}, member_id)
    await store.join_team(uow, team.id, member.id)
    uow.audit("team.join", team.id, {"member": member.id})


def _member(everybody: Mapping[MemberId, Member], member_id: str) -> Member:
    if (member := everybody.get(MemberId(member_id))) is None:
        raise NoSuchMember(f"The organization has no member {member_id}.")
    return member


def _new_id(clock: Clock) -> OrganizationId:
    return ORGANIZATION.new(clock.now())


def _named(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 200:
        raise InvalidInput("A name of 1 to 200 characters is needed.", pointer="/name")
    return name


def _auditable(organization: Organization) -> dict[str, object]:
    return {
        "plan": organization.plan,
        "features": organization.features,
        "requests_per_minute": organization.requests_per_minute,
        "platform_payments": organization.platform_payments,
    }
