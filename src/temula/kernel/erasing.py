"""Takes what names a person out of stored text: values as they are, and as JSON, URLs and HTML write them.

What is taken out is replaced by a mark and not by nothing: a field stays a string, so that a message keeps its
published shape, and whoever reads it sees why there is no value.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from html.entities import codepoint2name
from typing import Any, NamedTuple

import msgspec

from temula.kernel.stringify import stringify

MARK = "[erased]"
# A name of one word, or of few letters, is also a word of others: it is looked for only in what is about the person.
TELLING = 8
# Of a value that the end of what was stored has cut, so much of it still names somebody.
PIECE = 5

_RUN = re.compile(r"[a-z0-9]+")
# Letters beside a name make it another word, but not those that end an escape: `\n`, `%20`, `\u00e9`.
_BEFORE = rb"(?:(?<![0-9A-Za-z_\x80-\xff])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
_AFTER = rb"(?![0-9A-Za-z_\x80-\xff])"


class Sought(NamedTuple):
    """A value that names somebody; one that is `anywhere` names nobody else."""

    text: str
    anywhere: bool


class _Pattern(NamedTuple):
    run: bytes
    whole: "re.Pattern[bytes]"
    pieces: "list[re.Pattern[bytes]]"
    anywhere: bool


def sought(names: Iterable[str], emails: Iterable[str]) -> list[Sought]:
    """Say how values are looked for: addresses and full names anywhere, other names in what is about the person."""
    found = {Sought(one.strip(), anywhere=True) for one in emails}
    for name in (one.strip() for one in names):
        found.add(Sought(name, anywhere=len(name) >= TELLING and len(name.split()) > 1))
    return sorted(one for one in found if one.text and one.text.lower() not in MARK)


class Eraser:
    """Erases values of one person; `ids` name what is about them."""

    def __init__(self, values: Iterable[Sought], ids: Collection[str]) -> None:
        forms = {
            (unicodedata.normalize(form, one.text), one.anywhere) for one in values for form in ("NFC", "NFD")
        }  # fmt: skip
        # The longest first: an address may begin with the name.
        self._patterns = [_pattern(*one) for one in sorted(forms, key=lambda form: (-len(form[0]), form[0]))]
        self._ids = [one.encode() for one in ids]

    def is_about(self, text: bytes) -> bool:
        """Tell whether something speaks of the person by an id."""
        return any(one in text for one in self._ids)

    def text(self, text: bytes, *, about: bool, cut: bool = False) -> bytes:
        """Give text without the values; `cut` says that its end may be missing, and with it the end of a value."""
        lower = text.lower()
        for one in self._patterns:
            if not (one.anywhere or about):
                continue
            if one.run in lower:
                text = one.whole.sub(MARK.encode(), text)
            if cut:
                text = _without_piece(text, one.pieces)
        return text

    def json(self, text: bytes, *, about: bool) -> bytes:
        """Give JSON whose strings are without the values: the same bytes if there is none, else compact ones."""
        if self.text(text, about=about) == text:
            return text
        before = msgspec.json.decode(text)
        after = self._strings(before, about=about)
        return text if after == before else stringify(after)

    def _strings(self, value: Any, *, about: bool) -> Any:
        if isinstance(value, dict):
            return {key: self._strings(one, about=about) for key, one in value.items()}
        if isinstance(value, list):
            return [self._strings(one, about=about) for one in value]
        return self.text(value.encode(), about=about).decode() if isinstance(value, str) else value


def _pattern(text: str, anywhere: bool) -> _Pattern:  # noqa: FBT001 - a field of what is sought
    run = max(_RUN.findall(text.lower()), key=len, default="").encode()
    spelled = [_spellings(one) for one in text]
    whole = b"".join(spelled)
    if not anywhere:
        return _Pattern(run, re.compile(_BEFORE + whole + _AFTER), [], anywhere)
    pieces = [re.compile(b"".join(spelled[:end]) + rb"\Z") for end in range(len(spelled) - 1, PIECE - 1, -1)]
    return _Pattern(run, re.compile(whole), pieces, anywhere)


def _without_piece(text: bytes, pieces: "list[re.Pattern[bytes]]") -> bytes:
    tail = len(text) - 12 * (len(pieces) + PIECE)
    for piece in pieces:
        if found := piece.search(text, max(tail, 0)):
            return text[: found.start()] + MARK.encode()
    return text


def _spellings(char: str) -> bytes:
    """Write a pattern for one character. Letters and digits of ASCII are spelled in no other way than as they are."""
    if char.isascii() and char.isalnum():
        lower, upper = char.lower(), char.upper()
        return f"[{lower}{upper}]".encode() if lower != upper else char.encode()
    forms: set[bytes] = {rb"\s+", rb"\+"} if char == " " else set()
    if char in '"/\\':
        forms.add(rb"\\+" + re.escape(char.encode()))
    for one in {char, char.lower(), char.upper()}:
        forms.add(re.escape(one.encode()))
        forms.add(_hex("".join(f"%{byte:02x}" for byte in one.encode())))
        units = one.encode("utf-16-be").hex()
        escaped = [units[n : n + 4] for n in range(0, len(units), 4)]
        forms.add(b"".join(rb"\\+u" + _hex(unit) for unit in escaped))
        forms.add(b"".join(b"&#0*%d;" % ord(letter) for letter in one))
        forms.add(b"".join(b"&#[xX]0*" + _hex(f"{ord(letter):x}") + b";" for letter in one))
        if len(one) == 1 and ord(one) in codepoint2name:
            forms.add(f"&{codepoint2name[ord(one)]};".encode())
    ordered: list[bytes] = sorted(forms, key=lambda form: (-len(form), form))
    return b"(?:" + b"|".join(ordered) + b")"


def _hex(digits: str) -> bytes:
    return "".join(f"[{one.lower()}{one.upper()}]" if one.isalpha() else re.escape(one) for one in digits).encode()
