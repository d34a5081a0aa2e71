"""Commands about an organization's people: members with their roles, and teams."""

from typing import TYPE_CHECKING, Annotated

import typer

from temula.operations.cli.shared import OrganizationOption, actor_of, choice, in_house, table

if TYPE_CHECKING:
    from temula.domain.organizations.model import Member, Team
    from temula.operations.wiring import House

RoleOption = Annotated[str, typer.Option(help="owner, admin, manager, staff or viewer")]


def members_add(
    email: str,
    *,
    organization: OrganizationOption,
    name: Annotated[str, typer.Option(help="The person's name")],
    role: RoleOption = "staff",
) -> None:
    """Add a person, who signs in at the home page; the password is asked for."""
    from temula.domain.organizations import service
    from temula.domain.organizations.model import Role

    chosen, actor = choice(Role, role), actor_of(organization)
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def work(house: "House") -> "Member":
        async with house.database.unit(actor) as uow:
            return await service.add_member(uow, email=email, name=name, role=chosen, password=password)

    typer.echo(in_house(work).id)


def members_list(*, organization: OrganizationOption) -> None:
    """List an organization's people."""
    from temula.domain.organizations import service

    async def work(house: "House") -> "list[Member]":
        async with house.database.reading(actor_of(organization)) as uow:
            return await service.members(uow)

    table(("id", "email", "name", "role"), [(one.id, one.email, one.name, one.role) for one in in_house(work)])


def members_change(member_id: str, *, organization: OrganizationOption, role: RoleOption) -> None:
    """Change what a person may do."""
    from temula.domain.organizations import service
    from temula.domain.organizations.model import Role

    chosen = choice(Role, role)

    async def work(house: "House") -> None:
        async with house.database.unit(actor_of(organization)) as uow:
            await service.set_role(uow, member_id, chosen)

    in_house(work)
    typer.echo(f"{member_id} is {chosen}")


def teams_add(name: str, *, organization: OrganizationOption) -> None:
    """Add a team; an event may belong to one."""
    from temula.domain.organizations import service

    async def work(house: "House") -> "Team":
        async with house.database.unit(actor_of(organization)) as uow:
            return await service.add_team(uow, name)

    typer.echo(in_house(work).id)


def teams_list(*, organization: OrganizationOption) -> None:
    """List an organization's teams."""
    from temula.domain.organizations import service

    async def work(house: "House") -> "list[Team]":
        async with house.database.reading(actor_of(organization)) as uow:
            return await service.teams(uow)

    table(("id", "name"), [(one.id, one.name) for one in in_house(work)])


def teams_join(team_id: str, member_id: str, *, organization: OrganizationOption) -> None:
    """Put a person into a team."""
    from temula.domain.organizations import service

    async def work(house: "House") -> None:
        async with house.database.unit(actor_of(organization)) as uow:
            await service.join_team(uow, team_id, member_id)

    in_house(work)
    typer.echo(f"{member_id} is in {team_id}")


MEMBERS = {"add": members_add, "list": members_list, "change": members_change}
TEAMS = {"add": teams_add, "list": teams_list, "join": teams_join}
