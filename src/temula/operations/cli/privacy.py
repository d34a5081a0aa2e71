"""Commands about the data of persons."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from temula.operations.cli.shared import actor_of, in_house, table

if TYPE_CHECKING:
    from temula.operations.erasing import Result
    from temula.operations.wiring import House

# What cannot be taken back is not done to an organization that nobody named.
NamedOrganization = Annotated[
    str, typer.Option("--organization", help="Id of the organization (org_...); there is no default, so name it")
]


def erase(
    *,
    organization: NamedOrganization,
    registration: Annotated[str | None, typer.Option(help="Everybody in this registration (reg_...)")] = None,
    attendee: Annotated[str | None, typer.Option(help="This attendee (att_...)")] = None,
    email: Annotated[str | None, typer.Option(help="Everybody who stands under this address")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be erased")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    wait: Annotated[
        int, typer.Option(min=0, max=600, help="Seconds that messages on their way are waited for")
    ] = 60,
) -> None:  # fmt: skip
    """Erase a person: their name and address from messages, the log and its archives, and from where they stand."""
    from rich.progress import Progress

    from temula.operations import erasing

    actor, subject = actor_of(organization), erasing.Subject(registration, attendee, email)

    def run(*, dry: bool) -> "Result":
        async def work(house: "House") -> "Result":
            with Progress(transient=True) as progress:
                task = progress.add_task("looking", total=None)

                def told(what: str, total: int, done: int) -> None:
                    progress.update(task, description=what, total=total, completed=done)

                return await erasing.erase(house, actor, subject, erasing.Act(dry, told, float(wait)))

        return in_house(work)

    if dry_run or not yes:
        _show(run(dry=True))
    if dry_run:
        return
    if not yes and not typer.confirm("Erase it? It cannot be taken back"):
        typer.echo("Nothing was erased.")
        return
    _show(run(dry=False))
    typer.echo("Erased. Backups, and an older version that a bucket keeps, still hold it.")


def _show(result: "Result") -> None:
    found = result.webhooks
    rows = [
        ("registrations", "buyer", str(result.registrations)),
        ("attendees", "name and address, and the ticket's PDF", str(result.attendees)),
        ("facts", "messages", str(found.facts)),
        ("webhook_attempts", "requests and answers in the log", str(found.attempts)),
        *(("archive", f"requests and answers of {day}", str(n)) for day, n in sorted(found.archived.items())),
    ]
    table(("where", "what", "number"), rows)


PRIVACY: dict[str, Callable[..., None]] = {"erase": erase}
