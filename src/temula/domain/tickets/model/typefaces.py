"""Which font draws which character: Noto Sans for Latin, Greek, Cyrillic and Devanagari, its sisters for other scripts.

The fonts come as packages from PyPI; the one for Chinese, Japanese and Korean is large and used only where installed.
"""

import unicodedata
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

import uharfbuzz

BASE: Final = "fontpkg_noto_sans/files/NotoSans[wdth,wght].ttf"
# The first that has a character draws it: of the Han fonts, the simplified one.
OTHERS: Final = (
    "fontpkg_noto_sans_arabic/files/NotoSansArabic[wdth,wght].ttf",
    "fontpkg_noto_sans_tamil/files/NotoSansTamil[wdth,wght].ttf",
    "fontpkg_noto_sans_thai/files/NotoSansThai[wdth,wght].ttf",
    "justmytype_intl_cjk/fonts/ofl/notosanssc/NotoSansSC[wght].ttf",
    "justmytype_intl_cjk/fonts/ofl/notosanskr/NotoSansKR[wght].ttf",
)
NOT_DRAWN: Final = "\N{REPLACEMENT CHARACTER}"
LONGEST: Final = 300

# They choose the colour or the look of an emoji and draw nothing by themselves.
_EMOJI_PARTS: Final = dict.fromkeys([0x200D, 0x20E3, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)])


@dataclass(frozen=True, slots=True)
class Typeface:
    """A font file, mapped into memory once; a page gets only the characters that are on it, in one weight."""

    path: Path
    _face: uharfbuzz.Face
    _characters: uharfbuzz.Set

    @classmethod
    def open(cls, path: Path) -> Self:
        face = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path)))
        return cls(path, face, face.unicodes)

    def has(self, character: str) -> bool:
        return ord(character) in self._characters

    def only(self, characters: set[str], *, weight: int) -> bytes:
        """A small TrueType font; HarfBuzz makes in 1 ms what takes fontTools 50."""
        wanted = uharfbuzz.SubsetInput()
        wanted.unicode_set.update({ord(character) for character in characters})
        wanted.flags = uharfbuzz.SubsetFlags.NO_HINTING | uharfbuzz.SubsetFlags.NOTDEF_OUTLINE
        wanted.pin_all_axes_to_default(self._face)
        if any(axis.tag == "wght" for axis in self._face.axis_infos):
            wanted.pin_axis_location(self._face, "wght", weight)
        font: bytes = uharfbuzz.subset(self._face, wanted).blob.data
        return font

    def advance(self, character: str, *, weight: int) -> float:
        """How far the character alone moves the pen, in ems."""
        font = uharfbuzz.Font(self._face)
        font.set_variations({"wght": weight})
        glyph = font.get_nominal_glyph(ord(character))
        units: int = font.get_glyph_h_advance(glyph)
        return units / float(self._face.upem)


@dataclass(frozen=True, slots=True)
class Typefaces:
    base: Typeface
    others: tuple[Typeface, ...] = ()
    _advances: dict[tuple[str, int], float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def width(self, text: str, *, weight: int) -> float:
        """In ems, without kerning and joining: at most a little wider than drawn, which suits breaking lines.

        Shaping each try at a line would cost more than the rest of the page.
        """
        return sum(self._advance(character, weight) for character in text)

    def readable(self, text: str) -> str:
        """One line of what can be drawn; what cannot is replaced by a sign that shows that something is missing."""
        line = " ".join(unicodedata.normalize("NFC", text[:LONGEST]).split())
        faces = (self.base, *self.others)
        return "".join(
            character if any(face.has(character) for face in faces) else NOT_DRAWN
            for character in _without_invisible(line)
        )

    def _advance(self, character: str, weight: int) -> float:
        known = self._advances.get((character, weight))
        if known is None:
            face = next((face for face in (self.base, *self.others) if face.has(character)), self.base)
            known = self._advances[character, weight] = face.advance(character, weight=weight)
        return known

    def needed(self, characters: set[str]) -> list[tuple[Typeface, set[str]]]:
        """The base first, then the others that draw something of it, each with what it draws."""
        left = {character for character in characters if not self.base.has(character)}
        needed = [(self.base, characters - left | {" ", NOT_DRAWN})]
        for face in self.others:
            drawn = {character for character in left if face.has(character)}
            left -= drawn
            if drawn:
                needed.append((face, drawn))
        return needed


def find(*paths: str) -> list[Typeface]:
    """Those of the fonts whose packages are installed."""
    found = []
    for path in paths:
        package, _, file = path.partition("/")
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found.append(Typeface.open(Path(spec.origin).parent / file))
    return found


@cache
def installed() -> Typefaces:
    base = find(BASE)
    if not base:
        raise ModuleNotFoundError("tickets are printed in Noto Sans: install the package fontpkg-noto-sans")
    return Typefaces(base[0], tuple(find(*OTHERS)))


def _without_invisible(text: str) -> str:
    """Joiners stay where scripts need them; controls and marks of direction have no place in a name on paper."""
    if text.isascii():
        return "".join(character for character in text if character.isprintable())
    kept = text if _joins(text) else text.translate(_EMOJI_PARTS)
    return "".join(c for c in kept if c in "\u200c\u200d" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"})


def _joins(text: str) -> bool:
    """Arabic and the scripts of India change letters by zero-width joiners; elsewhere they only glue emoji."""
    return any("\u0600" <= c <= "\u06ff" or "\u0900" <= c <= "\u0dff" for c in text)
