"""Organizations and their people: twins, members with roles, teams."""

import pytest

from temula.domain.organizations import service
from temula.domain.organizations.errors import LastOwner, MemberExists, NoSuchMember, NoSuchTeam, TeamExists
from temula.domain.organizations.model import ABILITIES, Mode, Organization, Plan, Role
from temula.kernel.database import Database
from temula.kernel.errors import InvalidInput
from temula.kernel.tenancy import Actor, system
from temula.outbound.callers.model import ABILITIES as KNOWN


@pytest.fixture
async def organization(database: Database) -> Organization:
    return (await service.create_twins(database, name="Hall", plan=Plan.PRO, part="test"))[0]


@pytest.fixture
def actor(organization: Organization) -> Actor:
    return system("test", organization.organization_id)


async def test_a_sandbox_is_the_twin_of_a_live_one(database: Database) -> None:
    """Both are tenants of their own, name each other, and share the plan."""
    live, sandbox = await service.create_twins(database, name=" Hall ", plan=Plan.STARTER, part="test")
    assert (live.mode, sandbox.mode) == (Mode.LIVE, Mode.SANDBOX)
    assert (live.twin_id, sandbox.twin_id) == (sandbox.organization_id, live.organization_id)
    assert (live.name, live.plan, sandbox.plan) == ("Hall", Plan.STARTER, Plan.STARTER)
    async with database.reading(system("test", live.organization_id)) as uow:
        assert await service.current(uow) == live


async def test_members_sign_in_with_their_own_password(database: Database, actor: Actor) -> None:
    """An email address is a member once, whatever its case; only its password signs in."""
    async with database.unit(actor) as uow:
        member = await service.add_member(
            uow, email="A@Hall.example", name="A", role=Role.ADMIN, password="long enough"
        )
    async with database.unit(actor) as uow:
        with pytest.raises(MemberExists):
            await service.add_member(uow, email="a@hall.example", name="A", role=Role.ADMIN, password=None)
        with pytest.raises(InvalidInput):
            await service.add_member(uow, email="b@hall.example", name="B", role=Role.ADMIN, password="short")
        with pytest.raises(InvalidInput):
            await service.add_member(uow, email="nobody", name="B", role=Role.ADMIN, password=None)
    found = await service.sign_in(database, "a@HALL.example", "long enough")
    assert found is not None
    assert found.id == member.id
    assert await service.sign_in(database, "a@hall.example", "wrong password") is None
    assert await service.sign_in(database, "nobody@hall.example", "long enough") is None


async def test_the_last_owner_stays_one(database: Database, actor: Actor) -> None:
    """A role can be changed as long as somebody owns the organization."""
    async with database.unit(actor) as uow:
        first = await service.add_member(uow, email="1@hall.example", name="1", role=Role.OWNER, password=None)
        second = await service.add_member(uow, email="2@hall.example", name="2", role=Role.STAFF, password=None)
    async with database.unit(actor) as uow:
        with pytest.raises(LastOwner):
            await service.set_role(uow, first.id, Role.ADMIN)
        await service.set_role(uow, second.id, Role.OWNER)
        await service.set_role(uow, first.id, Role.VIEWER)
        with pytest.raises(NoSuchMember):
            await service.set_role(uow, "mem_nobody", Role.ADMIN)
        assert {one.id: one.role for one in await service.members(uow)} == {
            first.id: Role.VIEWER, second.id: Role.OWNER,
        }  # fmt: skip


async def test_teams(database: Database, actor: Actor) -> None:
    """A team's name is its own within the organization; only its members join it."""
    async with database.unit(actor) as uow:
        team = await service.add_team(uow, "North")
        member = await service.add_member(uow, email="1@hall.example", name="1", role=Role.STAFF, password=None)
        await service.join_team(uow, team.id, member.id)
        with pytest.raises(TeamExists):
            await service.add_team(uow, "North")
        with pytest.raises(NoSuchTeam):
            await service.join_team(uow, "team_none", member.id)
        with pytest.raises(NoSuchMember):
            await service.join_team(uow, team.id, "mem_nobody")
        assert [one.name for one in await service.teams(uow)] == ["North"]


def test_roles_speak_of_abilities_that_there_are() -> None:
    """Every ability of a role is one that routes ask for."""
    assert {one for abilities in ABILITIES.values() for one in abilities} <= {*KNOWN, "*"}
