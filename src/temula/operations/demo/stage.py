"""What the demo shows: acts, what came of them, webhooks as they arrive, and the table at the end."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from temula.operations.demo.reckoning import Arrival, Line

GOOD, BAD = "green", "bold red"


class Stage:
    """Lines that can be read anywhere; on a terminal a bar below them shows how far the demo is."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False)
        self._webhooks = 0
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[webhooks]}"),
            TimeElapsedColumn(), console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None, webhooks="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def act(self, number: int, of: int, title: str) -> None:
        """Begin an act."""
        self._bar.update(self._task, description=title, completed=number - 1, total=of)
        self._line(f"\n{number}/{of} {title}", "bold")

    def say(self, line: str) -> None:
        """Tell what came of something."""
        self._line(f"    {line}")

    def webhook(self, arrival: Arrival) -> None:
        """Show a webhook at the moment it arrives."""
        self._webhooks += 1
        self._bar.update(self._task, webhooks=f"{self._webhooks} webhooks")
        signatures = f"X-Temula-Signature {_held(arrival.by_temula)}, Standard Webhooks {_held(arrival.by_standard)}"
        style = GOOD if arrival.verified else BAD
        self._line(f"    <- webhook {arrival.type:<22} {signatures}", style)

    def table(self, lines: Sequence[Line]) -> None:
        """Show what was sent, delivered and verified."""
        table = Table(title="Webhooks", title_justify="left")
        table.add_column("message", no_wrap=True)
        for name in ("expected", "sent", "delivered", "X-Temula-\nSignature", "Standard\nWebhooks"):
            table.add_column(name, justify="right", no_wrap=True)
        for line in lines:
            agree = len(set(line[1:])) == 1
            table.add_row(line.type, *(str(number) for number in line[1:]), style=GOOD if agree else BAD)
        totals = [sum(column) for column in zip(*(line[1:] for line in lines), strict=True)]
        table.add_section()
        table.add_row("all", *(str(total) for total in totals), style="bold")
        self._console.print()
        self._console.print(table)

    def good(self, line: str) -> None:
        """End well."""
        self._line(f"\n{line}", GOOD)

    def bad(self, lines: Sequence[str]) -> None:
        """Say what is not as it should be."""
        self._line("\nNot as it should be:", BAD)
        for line in lines:
            self._line(f"  - {line}", BAD)

    def _line(self, text: str, style: str = "") -> None:
        # The style is the text's own: given to `print`, it would colour the bar as well.
        self._console.print(Text(text, style), soft_wrap=True)


def _held(good: bool) -> str:  # noqa: FBT001 - it reads as what it is
    return "ok" if good else "WRONG"
