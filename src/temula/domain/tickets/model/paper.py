"""What a person carries: the QR code as a picture, and a ticket of one page to print or to show on a telephone.

The same input gives the same bytes: nothing is read from the clock, the time of printing is part of the input.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from io import BytesIO
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import segno
from fpdf import FPDF
from fpdf.fonts import TTFFont

from temula.domain.tickets.model.typefaces import Typefaces, installed
from temula.kernel.money import Money

Style = Literal["", "B"]
Align = Literal["L", "C", "R"]
Colour = tuple[int, int, int]
_WEIGHTS: Final[dict[Style, int]] = {"": 400, "B": 650}
_INK: Final[Colour] = (17, 24, 39)
_GREY: Final[Colour] = (107, 114, 128)
_RULE: Final[Colour] = (209, 213, 219)

# All measures are millimetres on A5; on A4 the same drawing is larger by the square root of two.
_WIDTH: Final = 148.0
_HEIGHT: Final = 210.0
_MARGIN: Final = 14.0
_QR_SIDE: Final = 76.0
_DARK: Final = re.compile(rb"\x01+")
_QUIET: Final = 4  # modules of white that a scanner needs around the code

# HarfBuzz has used them by the time that the file is written; fontTools would carry each through its subsetter.
_NOT_EMBEDDED: Final = ("GSUB", "GPOS", "GDEF", "STAT", "MVAR", "gasp")


@dataclass(frozen=True, slots=True)
class Words:
    """The fixed text on a ticket, for organizations that print in another language."""

    attendee: str = "Attendee"
    ticket_type: str = "Ticket"
    price: str = "Price"
    free: str = "Free"
    number: str = "Number"
    hint: str = "Show this code at the entrance"
    weekdays: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    months: tuple[str, ...] = (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    )


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


def qr_png(code: str, scale: int = 8) -> bytes:
    """`scale` is the pixels of one module."""
    picture = BytesIO()
    _qr(code).save(picture, kind="png", border=_QUIET, scale=scale)
    return picture.getvalue()


def ticket_pdf(
    paper: Paper,
    *,
    size: Literal["A5", "A4"] = "A5",
    words: Words | None = None,
    typefaces: Typefaces | None = None,
) -> bytes:
    faces = typefaces or installed()
    said = _say(paper, words or Words(), faces)
    page = _Page(size)
    page.set_title(said.event)
    page.set_author(said.organization)
    page.set_creator("Temula")
    page.set_creation_date(paper.printed_at)
    with TemporaryDirectory(prefix="temula-ticket-") as folder:  # fpdf2 reads fonts from files only
        page.load(faces, said, Path(folder))
        page.head(said)
        page.code(paper.code, said)
        page.foot(said)
        return page.finished()


def _qr(code: str) -> segno.QRCode:
    # The mask breaks up patterns in the data. A signed code has none, so trying all eight buys nothing for 12 ms.
    return segno.make_qr(code, error="m", boost_error=False, mask=2)


@dataclass(frozen=True, slots=True)
class _Said:
    """The texts as they are drawn, and in which weight."""

    bold: ClassVar[tuple[str, ...]] = ("event", "date", "attendee", "ticket_type", "price")

    organization: str
    event: str
    date: str
    time: str
    venue: str
    attendee: str
    ticket_type: str
    price: str
    number: str
    hint: str
    attendee_label: str
    ticket_type_label: str
    price_label: str
    number_label: str

    def characters(self, style: Style) -> set[str]:
        texts = (getattr(self, f.name) for f in fields(self) if (f.name in self.bold) == (style == "B"))
        return set("".join(texts)) | {" ", "…"}


def _say(paper: Paper, words: Words, faces: Typefaces) -> _Said:
    price = "" if paper.price is None else paper.price.format() if paper.price.minor else words.free
    texts = {
        "organization": paper.organization,
        "event": paper.event,
        "date": _date(paper, words),
        "time": _time(paper),
        "venue": paper.venue,
        "attendee": paper.attendee,
        "ticket_type": paper.ticket_type,
        "price": price,
        "number": paper.number,
        "hint": words.hint,
        "attendee_label": words.attendee,
        "ticket_type_label": words.ticket_type,
        "price_label": words.price,
        "number_label": words.number,
    }
    return _Said(**{name: faces.readable(text) for name, text in texts.items()})


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


class _Page(FPDF):
    """One page, drawn from the top down; positions are those of A5."""

    def __init__(self, size: Literal["A5", "A4"]) -> None:
        self.enlarged = sqrt(2) if size == "A4" else 1.0
        super().__init__(unit=72 / 25.4 * self.enlarged, format=(_WIDTH, _HEIGHT))
        self.set_auto_page_break(auto=False)
        self.set_margin(0)
        self.c_margin = 0
        self.str_alias_nb_pages = ""  # else a name such as {nb} would become the number of pages
        self.add_page()

    def load(self, faces: Typefaces, said: _Said, folder: Path) -> None:
        others: list[str] = []
        for style, weight in _WEIGHTS.items():
            for index, (face, characters) in enumerate(faces.needed(said.characters(style))):
                file = folder / f"{index}{style}.ttf"
                file.write_bytes(face.only(characters, weight=weight))
                family = face.path.stem if index else "base"
                self.add_font(family, style, file)
                others += [family] if index else []
        # HarfBuzz made the outlines' boxes right; fontTools would unpack every outline to work them out again.
        for font in self._truetype():
            font.ttfont.recalcBBoxes = False
        self.set_fallback_fonts(list(dict.fromkeys(others)), exact_match=False)
        self.set_text_shaping(use_shaping_engine=True)

    def head(self, said: _Said) -> None:
        self.set_fill_color(*_INK)
        self.rect(0, 0, _WIDTH, 3, style="F")
        self.line_of(said.organization, top=13, points=9.5, colour=_GREY)
        below = self.block(said.event, top=20, points=(25, 21, 17), lines=2)
        below = self.block(said.date, top=below + 5, points=(12.5, 11), lines=2)
        self.line_of(said.time, top=below + 0.8, points=10.5, colour=_GREY)
        self.line_of(said.venue, top=below + 7.2, points=10.5, colour=_GREY)

    def code(self, code: str, said: _Said) -> None:
        left, top = (_WIDTH - _QR_SIDE) / 2, 84.0
        matrix = _qr(code).matrix
        module = _QR_SIDE / len(matrix)
        self.set_fill_color(0)
        for x, y, wide, high in _rectangles(matrix):
            self.rect(left + x * module, top + y * module, wide * module, high * module, style="F")
        self.line_of(said.hint, top=top + _QR_SIDE + 4, points=8.5, colour=_GREY, align="C")

    def foot(self, said: _Said) -> None:
        self.set_draw_color(*_RULE)
        self.set_line_width(0.25)
        self.line(_MARGIN, 174, _WIDTH - _MARGIN, 174)
        columns = (
            (said.attendee_label, said.attendee, 50.0),
            (said.ticket_type_label, said.ticket_type, 42.0),
            (said.price_label if said.price else "", said.price, 28.0),
        )
        left = _MARGIN
        for label, text, width in columns:
            self.line_of(label, top=179, points=7.5, colour=_GREY, left=left, width=width - 4)
            self.block(text, top=183.5, points=(12, 10, 8.5), lines=2, left=left, width=width - 4)
            left += width
        number = f"{said.number_label} {said.number}"
        self.line_of(number, top=200, points=7.5, colour=_GREY)

    def line_of(
        self,
        text: str,
        *,
        top: float,
        points: float,
        colour: Colour,
        align: Align = "L",
        left: float = _MARGIN,
        width: float = _WIDTH - 2 * _MARGIN,
    ) -> None:
        self.set_font("base", "", points * self.enlarged)
        self.set_text_color(*colour)
        self.set_xy(left, top)
        self.cell(width, _high(points), _cut(self, text, width), align=align)

    def block(
        self,
        text: str,
        *,
        top: float,
        points: tuple[float, ...],
        lines: int,
        left: float = _MARGIN,
        width: float = _WIDTH - 2 * _MARGIN,
    ) -> float:
        """In the largest of the sizes in which it fits the lines; answers where it ends."""
        wrapped: list[str] = []
        size = points[0]
        for size in points:
            self.set_font("base", "B", size * self.enlarged)
            wrapped = _wrap(self, text, width)
            if len(wrapped) <= lines:
                break
        self.set_text_color(*_INK)
        if len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], _cut(self, " ".join(wrapped[lines - 1 :]), width)]
        for index, line in enumerate(wrapped):
            self.set_xy(left, top + index * _high(size))
            self.cell(width, _high(size), line)
        return top + len(wrapped) * _high(size)

    def finished(self) -> bytes:
        for font in self._truetype():
            for table in _NOT_EMBEDDED:
                if table in font.ttfont:
                    del font.ttfont[table]
        return bytes(self.output())

    def _truetype(self) -> list[TTFFont]:
        return [font for font in self.fonts.values() if isinstance(font, TTFFont)]


def _high(points: float) -> float:
    return points * 25.4 / 72 * 1.22


def _wrap(page: FPDF, text: str, width: float) -> list[str]:
    """Between words, and inside one that is wider than the line, as a Chinese sentence is."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if page.get_string_width(longer) <= width:
            line = longer
            continue
        lines += [line] if line else []
        line = word
        while page.get_string_width(line) > width:
            fits = _fitting(page, line, width)
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line] if line else lines


def _cut(page: FPDF, text: str, width: float) -> str:
    if page.get_string_width(text) <= width:
        return text
    return text[: _fitting(page, text, width - page.get_string_width("…"))].rstrip() + "…"


def _fitting(page: FPDF, text: str, width: float) -> int:
    """How many of the characters fit; at least one, so that whoever takes them away comes to an end."""
    return max(1, bisect_right(range(1, len(text) + 1), width, key=lambda count: page.get_string_width(text[:count])))


def _rectangles(matrix: tuple[bytearray, ...]) -> Iterator[tuple[int, int, int, int]]:
    """The dark modules as (x, y, wide, high): a run that goes on below is one, for fewer seams."""
    open_runs: dict[tuple[int, int], int] = {}
    for y, row in enumerate([*matrix, bytearray(len(matrix))]):
        runs = _runs(row)
        for (x, wide), top in list(open_runs.items()):
            if (x, wide) not in runs:
                del open_runs[x, wide]
                yield x, top, wide, y - top
        for run in runs:
            open_runs.setdefault(run, y)


def _runs(row: bytearray) -> list[tuple[int, int]]:
    return [(match.start(), match.end() - match.start()) for match in _DARK.finditer(row)]
