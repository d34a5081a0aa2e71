"""Commands about what is past its time: what goes, and archives of what went."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from temula.operations.cli.shared import OwnOrganization, actor_of, in_house, own, require, table

if TYPE_CHECKING:
    from datetime import date

    from temula.operations.wiring import House
    from temula.outbound.webhooks.jobs.forgetting import Due, Seen
    from temula.outbound.webhooks.model.archive import Manifest

DayArgument = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The day (UTC): 2026-09-01")]


def retention_run(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be archived and removed")] = False,
) -> None:
    """Archive and remove what is past its time in every organization's webhook log, as the clock does each night."""
    from rich.progress import Progress

    from temula.outbound.webhooks.jobs import forgetting

    async def look(house: "House") -> "list[Seen]":
        days = house.configuration.data.delivery_days
        return await forgetting.look(house.database, house.archives_kept, days)

    if dry_run:
        head = ("day", "organization", "attempts", "first", "then")
        rows = [
            (str(one.day), one.organization_id, str(one.rows), "archived" if one.archived else "nothing",
             "the day is dropped" if one.whole else "its attempts are removed")
            for one in in_house(look)
        ]  # fmt: skip
        table(head, rows)
        return

    async def run(house: "House") -> "list[Due]":
        with Progress(transient=True) as progress:
            task = progress.add_task("looking", total=None)

            def begun(what: str, day: "date", organization_id: str, rows: int) -> None:
                progress.reset(task, description=f"{what} {day} {organization_id}", total=rows)

            days = house.configuration.data.delivery_days
            told = forgetting.Progress(begun, lambda rows: progress.advance(task, rows))
            return await forgetting.forget(house.database, house.archives_kept, days, told)

    done = in_house(run)
    dropped = sum(one.whole for one in done)
    typer.echo(f"{len(done)} days are over: {dropped} dropped whole, {len(done) - dropped} for some organizations")


def archives_list(*, organization: OwnOrganization = None) -> None:
    """List an organization's archived days of the log."""
    organization_id = actor_of(own(organization)).organization_id

    async def work(house: "House") -> "list[Manifest]":
        await require(house, organization_id)
        return await house.archives.listed(organization_id)

    rows = [
        (str(one.day), str(one.rows), str(one.bytes), one.file, str(one.written_at), str(one.erased_at or ""))
        for one in in_house(work)
    ]
    table(("day", "attempts", "bytes", "file", "written", "erased in"), rows)


def archives_get(
    day: DayArgument,
    *,
    organization: OwnOrganization = None,
    output: Annotated[Path | None, typer.Option(help="File to write; standard output if left out")] = None,
) -> None:
    """Read an archived day back, checked against its manifest: one attempt a line, in JSON."""
    import sys

    from rich.console import Console
    from rich.progress import Progress

    organization_id = actor_of(own(organization)).organization_id

    async def work(house: "House") -> int:
        await require(house, organization_id)
        manifest = await house.archives.manifest(organization_id, day.date())
        write, end = _writer(output, sys.stdout.buffer.write)
        try:
            with Progress(transient=True, console=Console(stderr=True)) as progress:
                task = progress.add_task(manifest.file, total=manifest.rows)
                async for lines in house.archives.lines(manifest):
                    for one in lines:
                        write(one)
                    progress.advance(task, len(lines))
        finally:
            end()
        return manifest.rows

    rows = in_house(work)
    if output is not None:
        typer.echo(f"{rows} attempts are in {output}")


def _writer(
    output: Path | None, otherwise: Callable[[bytes], int]
) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """Give what writes, and what ends it."""
    from temula.kernel.errors import InvalidInput

    if output is None:
        return otherwise, lambda: None
    try:
        file = output.open("wb")
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}.") from None
    return file.write, file.close


RETENTION: dict[str, Callable[..., None]] = {"run": retention_run}
ARCHIVES: dict[str, Callable[..., None]] = {"list": archives_list, "get": archives_get}
