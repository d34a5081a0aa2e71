"""What commands share: the house, who acts, words to choose from, tables."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from temula.kernel.database import UnitOfWork
    from temula.kernel.tenancy import Actor
    from temula.operations.wiring import House

T = TypeVar("T")
OrganizationOption = Annotated[str, typer.Option("--organization", help="Id of the organization (org_...)")]

OwnOrganization = Annotated[
    str | None,
    typer.Option("--organization", help="Id of the organization (org_...); default: that of var/quickstart.json"),
]


def in_house(work: "Callable[[House], Awaitable[T]]") -> T:
    """Run `work` with every part built and connected."""
    from temula.operations import running
    from temula.operations.configuration import configure
    from temula.operations.wiring import opened

    running.log_quietly()

    async def run() -> T:
        async with opened(configure()) as house:
            return await work(house)

    return asyncio.run(run())


def actor_of(organization: str) -> "Actor":
    """Give the operator as who acts for an organization."""
    from temula.kernel.errors import InvalidInput
    from temula.kernel.ids import ORGANIZATION, InvalidId
    from temula.kernel.tenancy import system

    try:
        return system("cli", ORGANIZATION.parse(organization))
    except InvalidId as error:
        raise InvalidInput(str(error)) from None


def own(organization: str | None) -> str:
    """Give the organization that was named, or else the sandbox that runs here."""
    from temula.operations.calling import sandbox
    from temula.operations.configuration import configure

    return organization or sandbox(configure().data.folder)


@asynccontextmanager
async def looking(house: "House", organization: str) -> "AsyncIterator[UnitOfWork]":
    """Read what an organization has; raises `NotFound` if there is no such organization."""
    from temula.domain.organizations import service as organizations

    async with house.database.reading(actor_of(organization)) as uow:
        await organizations.current(uow)
        yield uow


async def require(house: "House", organization: str) -> None:
    """Raise `NotFound` if there is no such organization."""
    async with looking(house, organization):
        return


def acting(organization: str, work: "Callable[[House, UnitOfWork], Awaitable[T]]") -> T:
    """Do something for an organization in one unit of work; raises `NotFound` if there is no such organization."""
    from temula.domain.organizations import service as organizations

    actor = actor_of(organization)

    async def run(house: "House") -> T:
        async def known(uow: "UnitOfWork") -> T:
            await organizations.current(uow)
            return await work(house, uow)

        return await house.database.run(actor, known)

    return in_house(run)


def choice(kind: type[T], text: str) -> T:
    """Read one of a few words; raises `InvalidInput` naming them all."""
    from temula.kernel.errors import InvalidInput

    try:
        return kind(text)  # type: ignore[call-arg]
    except ValueError:
        names = ", ".join(str(one.value) for one in kind)  # type: ignore[attr-defined]
        raise InvalidInput(f"{text!r} is not one of: {names}.") from None


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under their heads; what is too long for its column goes on below, so that nothing is cut off."""
    shown = Table()
    for name in head:
        shown.add_column(name, no_wrap=name.split("\n")[0] == "id", overflow="fold")
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    Console().print(shown)
