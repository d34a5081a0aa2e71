"""What a person carries: the QR code as a picture, and a ticket of one page to print or to show on a telephone.

The same input gives the same bytes: nothing is read from the clock, the time of printing is part of the input.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

import segno

from temula.domain.tickets.model.page import INK, INSIDE, MARGIN, WIDTH, Page, Points, Size, Text
from temula.domain.tickets.model.typefaces import Typefaces, installed
from temula.kernel.money import Money

_QR_SIDE: Final = 76.0
_QUIET: Final = 4  # modules of white that a scanner needs around the code
_DARK: Final = re.compile(rb"\x01+")


@dataclass(frozen=True, slots=True)
class Words:
    """The fixed text on a ticket, for organizations that print in another language."""

    attendee: str = "Attendee"
    ticket_type: str = "Ticket"
    price: str = "Price"
    free: str = "Free"
    number: str = "Ticket number"
    hint: str = "Show this code at the entrance"
    weekdays: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    months: tuple[str, ...] = (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    )


ENGLISH: Final = Words()


@dataclass(frozen=True, slots=True)
class Paper:
    """What is on the page."""

    organization: str
    event: str
    starts_at: datetime
    ends_at: datetime | None
    timezone: ZoneInfo
    venue: str
    ticket_type: str
    attendee: str
    price: Money | None  # none is not said; zero is said to be free
    number: str
    code: str
    printed_at: datetime


def qr_svg(code: str) -> bytes:
    """Scales to where it is put: it has a view box and no size."""
    picture = BytesIO()
    _qr(code).save(picture, kind="svg", border=_QUIET, xmldecl=False, omitsize=True, svgclass=None, lineclass=None)
    return picture.getvalue()


def ticket_pdf(paper: Paper, *, size: Size = "A5", words: Words = ENGLISH, typefaces: Typefaces | None = None) -> bytes:
    faces = typefaces or installed()
    said = _say(paper, words, faces)
    page = Page(size, faces)
    page.set_title(said.event.text)
    page.set_author(said.organization.text)
    page.set_creator("Temula")
    page.set_creation_date(paper.printed_at)
    with TemporaryDirectory(prefix="temula-ticket-") as folder:  # fpdf2 reads fonts from files only
        page.load(said.texts(), Path(folder))
        _draw_head(page, said)
        _draw_code(page, said, paper.code)
        _draw_foot(page, said)
        return page.finished()


def _qr(code: str) -> segno.QRCode:
    # The mask breaks up patterns in the data. A signed code has none, so trying all eight buys nothing for 12 ms.
    return segno.make_qr(code, error="m", boost_error=False, mask=2)


@dataclass(frozen=True, slots=True)
class _Said:
    """Everything that is drawn as text, in what can be drawn of it."""

    organization: Text
    event: Text
    date: Text
    time: Text
    venue: Text
    attendee: Text
    ticket_type: Text
    price: Text
    number: Text
    hint: Text
    attendee_label: Text
    ticket_type_label: Text
    price_label: Text

    def texts(self) -> list[Text]:
        return [getattr(self, field.name) for field in fields(self)]


def _say(paper: Paper, words: Words, faces: Typefaces) -> _Said:
    def plain(text: str) -> Text:
        return Text(faces.readable(text), "")

    def bold(text: str) -> Text:
        return Text(faces.readable(text), "B")

    price = "" if paper.price is None else paper.price.format() if paper.price.minor else words.free
    return _Said(
        organization=plain(paper.organization),
        event=bold(paper.event),
        date=bold(_date(paper, words)),
        time=plain(_time(paper)),
        venue=plain(paper.venue),
        attendee=bold(paper.attendee),
        ticket_type=bold(paper.ticket_type),
        price=bold(price),
        number=plain(f"{words.number} {paper.number}"),
        hint=plain(words.hint),
        attendee_label=plain(words.attendee),
        ticket_type_label=plain(words.ticket_type),
        price_label=plain(words.price),
    )


def _date(paper: Paper, words: Words) -> str:
    def said(at: datetime) -> str:
        return f"{words.weekdays[at.weekday()]}, {at.day} {words.months[at.month - 1]} {at.year}"

    first = paper.starts_at.astimezone(paper.timezone)
    last = (paper.ends_at or paper.starts_at).astimezone(paper.timezone)
    # A night that ends before six in the morning is still the evening it began on.
    one_day = (last - timedelta(hours=6)).date() <= first.date()
    return said(first) if one_day else f"{said(first)} – {said(last)}"


def _time(paper: Paper) -> str:
    """`19:30 – 23:00, Kuala Lumpur (UTC+8)`: a printed time means nothing without its place."""
    first = paper.starts_at.astimezone(paper.timezone)
    hours = f"{first:%H:%M}"
    if paper.ends_at is not None:
        hours += f" – {paper.ends_at.astimezone(paper.timezone):%H:%M}"
    area, _, place = paper.timezone.key.rpartition("/")
    offset = _offset(first)
    return f"{hours}, {place.replace('_', ' ')} ({offset})" if area else f"{hours} {offset}"


def _offset(at: datetime) -> str:
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}{f':{rest:02d}' if rest else ''}"


def _draw_head(page: Page, said: _Said) -> None:
    page.set_fill_color(*INK)
    page.rect(0, 0, WIDTH, 3, style="F")
    page.block(said.organization, top=12, points=(9.5,))
    below = page.block(said.event, top=18, points=(25, 21, 17), lines=3, tallest=22)
    below = page.block(said.date, top=below + 4, points=(12.5, 11, 9.5))
    below = page.block(said.time, top=below + 0.6, points=(10.5,))
    page.block(said.venue, top=below + 0.6, points=(10.5, 9.5), lines=2)


def _draw_code(page: Page, said: _Said, code: str) -> None:
    page.perforation(72)
    left, top = (WIDTH - _QR_SIDE) / 2, 79.0
    matrix = _qr(code).matrix
    module = _QR_SIDE / len(matrix)
    page.rectangles(
        [(left + x * module, top + y * module, w * module, h * module) for x, y, w, h in _rectangles(matrix)]
    )
    page.block(said.hint, top=top + _QR_SIDE + 3.4, points=(9,), align="C")
    page.block(said.number, top=top + _QR_SIDE + 7.6, points=(8, 7), align="C")


def _draw_foot(page: Page, said: _Said) -> None:
    page.perforation(171)
    _draw_fact(page, said.attendee_label, said.attendee, top=175.5, points=(16, 13, 11))
    ticket = 84.0 if said.price.text else INSIDE
    _draw_fact(page, said.ticket_type_label, said.ticket_type, top=190, width=ticket - 4, points=(11, 9.5, 8.5))
    if said.price.text:
        _draw_fact(page, said.price_label, said.price, top=190, left=MARGIN + ticket, width=36, points=(11, 9.5, 8))


def _draw_fact(
    page: Page, label: Text, text: Text, *, top: float, points: Points, left: float = MARGIN, width: float = INSIDE
) -> None:
    page.block(label, top=top, points=(7.5,), left=left, width=width)
    page.block(text, top=top + 3.6, points=points, lines=2, tallest=9.6, left=left, width=width)


def _rectangles(matrix: tuple[bytearray, ...]) -> Iterator[tuple[int, int, int, int]]:
    """The dark modules as (x, y, wide, high): a run that goes on below is one, for fewer seams."""
    begun: dict[tuple[int, int], int] = {}
    for y, row in enumerate([*matrix, bytearray(len(matrix))]):
        runs = [(match.start(), match.end() - match.start()) for match in _DARK.finditer(row)]
        for x, wide in set(begun).difference(runs):
            top = begun.pop((x, wide))
            yield x, top, wide, y - top
        for run in runs:
            begun.setdefault(run, y)
