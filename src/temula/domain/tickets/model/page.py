"""A page that draws text of any script in the largest size that fits, with only the characters it uses embedded."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Final, Literal, NamedTuple

from fpdf import FPDF
from fpdf.fonts import TTFFont

from temula.domain.tickets.model.typefaces import Typefaces

Size = Literal["A5", "A4"]
Style = Literal["", "B"]
Points = tuple[float, ...]

# All measures are millimetres on A5; on A4 the same drawing is larger by the square root of two.
WIDTH: Final = 148.0
HEIGHT: Final = 210.0
MARGIN: Final = 14.0
INSIDE: Final = WIDTH - 2 * MARGIN
INK: Final = (17, 24, 39)
GREY: Final = (107, 114, 128)
RULE: Final = (209, 213, 219)

_WEIGHTS: Final[dict[Style, int]] = {"": 400, "B": 650}
_POINT: Final = 25.4 / 72
_LEADING: Final = 1.22
# Latin, Greek, Cyrillic and dashes do not join, stack or run to the left: shaping only kerns, which shows in headlines.
_SIMPLE: Final = re.compile("[ -\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027]*")
_HEADLINE: Final = 17.0
# HarfBuzz has used them by the time that the file is written; fontTools would carry each through its subsetter.
_NOT_EMBEDDED: Final = ("GSUB", "GPOS", "GDEF", "STAT", "MVAR", "gasp")


class Text(NamedTuple):
    text: str
    style: Style  # known before drawing: each weight's font is loaded with the characters that are said in it


class Page(FPDF):
    """One page, drawn from the top down; positions are those of A5."""

    def __init__(self, size: Size, faces: Typefaces) -> None:
        self.enlarged = sqrt(2) if size == "A4" else 1.0
        super().__init__(unit=self.enlarged / _POINT, format=(WIDTH, HEIGHT))
        self.faces = faces
        self.set_auto_page_break(auto=False)
        self.set_margin(0)
        self.c_margin = 0
        self.str_alias_nb_pages = ""  # else a name such as {nb} would become the number of pages
        self.add_page()

    def load(self, texts: list[Text], folder: Path) -> None:
        others: list[str] = []
        for style, weight in _WEIGHTS.items():
            characters = {" ", "…"}.union(*(text for text, its_style in texts if its_style == style))
            for index, (face, drawn) in enumerate(self.faces.needed(characters)):
                file = folder / f"{index}{style}.ttf"
                file.write_bytes(face.only(drawn, weight=weight))
                family = face.path.stem if index else "base"
                self.add_font(family, style, file)
                others += [family] if index else []
        # HarfBuzz made the outlines' boxes right; fontTools would unpack every outline to work them out again.
        for font in self._truetype():
            font.ttfont.recalcBBoxes = False
        self.set_fallback_fonts(list(dict.fromkeys(others)), exact_match=False)

    def perforation(self, top: float) -> None:
        self.set_draw_color(*RULE)
        self.set_line_width(0.3)
        self.set_dash_pattern(dash=1.2, gap=1.4)
        self.line(MARGIN, top, WIDTH - MARGIN, top)
        self.set_dash_pattern()

    def rectangles(self, rectangles: list[tuple[float, float, float, float]]) -> None:
        """As one path: fpdf2's own would cost 4 ms more for a QR code, and leave more seams."""
        self.set_fill_color(0)
        path = [
            f"{x * self.k:.3f} {(HEIGHT - y - high) * self.k:.3f} {wide * self.k:.3f} {high * self.k:.3f} re"
            for x, y, wide, high in rectangles
        ]
        self._out("\n".join([*path, "f"]))

    def block(
        self,
        said: Text,
        *,
        top: float,
        points: Points,
        lines: int = 1,
        tallest: float = HEIGHT,
        align: Literal["L", "C"] = "L",
        left: float = MARGIN,
        width: float = INSIDE,
    ) -> float:
        """In the largest size in which it fits the lines and the height, cut in the smallest; answers where it ends."""
        size, wrapped = self._fitted(said, points, width=width, lines=lines, tallest=tallest)
        self.set_font("base", said.style, size * self.enlarged)
        self.set_text_color(*(INK if said.style else GREY))
        for index, line in enumerate(wrapped):
            # fpdf2 2.8 forgets that the font was restored after a line in two colours and two fonts: say it each time.
            self.current_font_is_set_on_page = False
            middle = top + (index + 0.5) * _high(size)
            if size < _HEADLINE and self._simple(line):
                free = width - self.faces.width(line, weight=_WEIGHTS[said.style]) * size * _POINT
                self.text(left + (free / 2 if align == "C" else 0), middle + 0.3 * size * _POINT, line)
            else:
                self.set_text_shaping(use_shaping_engine=True)
                self.set_xy(left, middle - _high(size) / 2)
                self.cell(width, _high(size), line, align=align)
        return top + len(wrapped) * _high(size)

    def finished(self) -> bytes:
        for font in self._truetype():
            for table in _NOT_EMBEDDED:
                if table in font.ttfont:
                    del font.ttfont[table]
        return bytes(self.output())

    def _fitted(
        self, said: Text, points: Points, *, width: float, lines: int, tallest: float
    ) -> tuple[float, list[str]]:
        for size in points:
            ruler = _Ruler(self.faces, _WEIGHTS[said.style], width / (size * _POINT))
            wrapped = ruler.wrap(said.text)
            room = min(lines, int(tallest / _high(size)))
            if len(wrapped) <= room:
                break
        else:
            wrapped = [*wrapped[: room - 1], ruler.cut(" ".join(wrapped[room - 1 :]))]
        return size, wrapped

    def _simple(self, line: str) -> bool:
        return bool(_SIMPLE.fullmatch(line)) and all(map(self.faces.base.has, line))

    def _truetype(self) -> list[TTFFont]:
        return [font for font in self.fonts.values() if isinstance(font, TTFFont)]


@dataclass(frozen=True, slots=True)
class _Ruler:
    """Breaks text into lines of so many ems."""

    faces: Typefaces
    weight: int
    ems: float

    def fits(self, text: str) -> bool:
        return self.faces.width(text, weight=self.weight) <= self.ems

    def wrap(self, text: str) -> list[str]:
        """Between words, and inside one that is wider than the line, as a Chinese sentence is."""
        lines: list[str] = []
        line = ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if self.fits(longer):
                line = longer
                continue
            lines += [line] if line else []
            line = word
            while not self.fits(line):
                count = self._fitting(line)
                lines.append(line[:count])
                line = line[count:]
        return [*lines, line] if line else lines

    def cut(self, text: str) -> str:
        return text if self.fits(text) else text[: self._fitting(text, "…")].rstrip() + "…"

    def _fitting(self, text: str, end: str = "") -> int:
        """How many of the characters fit; at least one, so that whoever takes them away comes to an end."""
        return max(1, bisect_left(range(1, len(text) + 1), 1, key=lambda n: int(not self.fits(text[:n] + end))))


def _high(points: float) -> float:
    return points * _POINT * _LEADING
