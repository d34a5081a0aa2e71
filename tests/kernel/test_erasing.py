"""What names a person is found in stored text however it is written, and nothing else goes."""

import html
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.kernel.erasing import MARK, Eraser, sought

NAME, EMAIL = "Zoë O'Neil-Şahin", "zoe+tickets@exämple.org"
WRITTEN = {
    "plain": f"Dear {NAME}, we wrote to {EMAIL}.",
    "capitals": f"{NAME} {EMAIL}".upper(),
    "json": json.dumps({"n": f"a\n{NAME}", "m": EMAIL}),
    "json in json": json.dumps({"inner": json.dumps({"n": NAME}, ensure_ascii=False)}, ensure_ascii=False),
    "json in json in ascii": json.dumps({"inner": json.dumps({"n": NAME, "m": EMAIL})}),
    "a form": urllib.parse.urlencode({"n": NAME, "m": EMAIL}),
    "a path": urllib.parse.quote(f"/{NAME}/{EMAIL}"),
    "html": html.escape(f"<p>{NAME}</p> {EMAIL}"),
    "named entities": f"Zo&euml; O&#39;Neil-&#x15e;ahin {EMAIL}",
    "decomposed": f"Zoe\u0308 O'Neil-S\u0327ahin {EMAIL}",
}


@pytest.mark.parametrize("way", WRITTEN)
def test_every_spelling(way: str) -> None:
    """A full name and an address go wherever they stand and however they are written."""
    after = Eraser(sought([NAME], [EMAIL]), []).text(WRITTEN[way].encode(), about=False).decode()
    assert MARK in after
    for piece in ("neil", "ahin", "tickets", "mple.org"):
        assert piece not in after.lower()


def test_a_short_name_is_also_a_word_of_others() -> None:
    """It goes only from what is about the person, as a word of its own, behind escapes too."""
    eraser = Eraser(sought(["Bo"], []), ["att_1"])
    text = rb'{"a": "Bo, body \nBo %20bo bobo", "att_1": 1}'
    assert eraser.is_about(text)
    assert not eraser.is_about(b'{"att_2": 1}')
    assert eraser.text(text, about=False) == text
    assert eraser.text(text, about=True) == rb'{"a": "[erased], body \n[erased] %20[erased] bobo", "att_1": 1}'


def test_what_the_end_has_cut() -> None:
    """Of a text that was cut, the beginning of a value goes too."""
    eraser = Eraser(sought([NAME], [EMAIL]), [])
    for end in range(6, len(EMAIL)):
        text = b"x" * 50 + EMAIL[:end].encode()
        assert eraser.text(text, about=False, cut=True) == b"x" * 50 + MARK.encode()
        assert eraser.text(text, about=False) == text


def test_json_stays_json() -> None:
    """Only strings change, keys and numbers stay, and what names nobody stays byte for byte."""
    eraser = Eraser(sought([NAME], [EMAIL]), [])
    text = json.dumps({"reason": f"{NAME} asked", "deep": [{"m": EMAIL}, 1.5, None], EMAIL: "key"}).encode()
    after = json.loads(eraser.json(text, about=False))
    assert after == {"reason": f"{MARK} asked", "deep": [{"m": MARK}, 1.5, None], EMAIL: "key"}
    other = b'{ "reason" : "somebody else" }'
    assert eraser.json(other, about=True) is other
    assert eraser.json(eraser.json(text, about=False), about=False) == eraser.json(text, about=False)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=3, max_size=40), st.binary(max_size=30))
def test_whatever_they_are_called(name: str, before: bytes) -> None:
    """Any name can be sought in any bytes: JSON stays JSON, and what was not about them is not made shorter for it."""
    eraser = Eraser(sought([name], []), ["reg_1"])
    json.loads(eraser.json(json.dumps({"n": name, "o": [before.hex()]}).encode(), about=True))
    assert eraser.text(before, about=False) == before or len(name.split()) > 1


def test_nobody_is_called_so() -> None:
    """Values that are empty or are the mark already are not looked for: erasing twice changes nothing."""
    assert sought(["", " ", MARK, "Erased"], [MARK]) == []
