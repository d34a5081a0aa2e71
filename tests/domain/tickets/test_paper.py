"""The ticket on paper: it scans, it is the same each time, and no name in any script breaks it or leaves the page."""

import io
import logging
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from temula.domain.tickets.model.page import _Ruler
from temula.domain.tickets.model.paper import ENGLISH, Paper, Words, _date, _qr, _time, qr_svg, ticket_pdf
from temula.domain.tickets.model.typefaces import BASE, LONGEST, NOT_DRAWN, Typefaces, find, installed
from temula.kernel.money import Money

KUALA_LUMPUR = ZoneInfo("Asia/Kuala_Lumpur")
KL = "Kuala Lumpur (UTC+8)"
CODE = "TML1:/A0KQE548$LKXX5M:43YEB:N:3S9SFT8S$LKXX5M:43*ERWG827SE6H-3$LKXX5M:4K"
PAPER = Paper(
    organization="Persatuan Muzik",
    event="Malam Gala Orkestra",
    starts_at=datetime(2026, 11, 28, 11, 30, tzinfo=UTC),
    ends_at=datetime(2026, 11, 28, 15, 0, tzinfo=UTC),
    timezone=KUALA_LUMPUR,
    venue="Dewan Filharmonik Petronas",
    ticket_type="Premium",
    attendee="Nur Aisyah binti Abdullah",
    price=Money(18850, "MYR"),
    number="tkt_01m83ydq50e7pr8jn6s48rtb4w",
    code=CODE,
    printed_at=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
)
SCRIPTS = [
    "Łukasz Őri",
    "Никита",
    "Ελένη",
    "محمد عبد الله",
    "陈小明",
    "தமிழ்",
    "สมชาย",
    "हिन्दी",
    "김민준",
    "👩‍👩‍👧 ⭐",
    "e\u0301\u0323",
]


def test_the_picture_of_the_code_scans() -> None:
    zxingcpp = pytest.importorskip("zxingcpp")
    picture = io.BytesIO()
    _qr(CODE).save(picture, kind="png", scale=4)
    found = zxingcpp.read_barcodes(Image.open(picture))
    assert [(code.text, code.ec_level) for code in found] == [(CODE, "M")]


def test_the_picture_has_the_quiet_zone_and_scales() -> None:
    modules = len(_qr(CODE).matrix) + 8
    svg = qr_svg(CODE)
    assert svg.startswith(b"<svg")
    assert f'viewBox="0 0 {modules} {modules}"'.encode() in svg
    assert b"width" not in svg.split(b">")[0]


def test_the_same_paper_is_the_same_file() -> None:
    assert ticket_pdf(PAPER) == ticket_pdf(PAPER)
    assert ticket_pdf(PAPER) != ticket_pdf(replace(PAPER, printed_at=PAPER.printed_at + timedelta(seconds=1)))


def test_the_same_paper_is_the_same_file_in_another_process() -> None:
    program = textwrap.dedent(f"""
        import hashlib, datetime
        from zoneinfo import ZoneInfo
        from temula.domain.tickets.model.paper import Paper, ticket_pdf
        from temula.kernel.money import Money
        paper = {replace(PAPER, attendee=" ".join(SCRIPTS), timezone=KUALA_LUMPUR)!r}
        print(hashlib.sha256(ticket_pdf(paper)).hexdigest())
    """).replace("zoneinfo.ZoneInfo(key=", "ZoneInfo(key=")
    runs = [
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 64


@pytest.mark.parametrize("size", ["A5", "A4"])
def test_it_is_one_page_with_its_title(size: str) -> None:
    pdf = ticket_pdf(PAPER, size="A4" if size == "A4" else "A5")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert b"/Title (Malam Gala Orkestra)" in pdf
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert box is not None
    wide, high = (float(side) * 25.4 / 72 for side in box.groups())
    expected = {"A5": (148, 210), "A4": (209.3, 297)}[size]
    assert (wide, high) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_character_that_is_drawn_has_its_glyph(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ticket_pdf(replace(PAPER, attendee=name, event=name, organization=name, venue=name))
    assert not caplog.records


@settings(max_examples=60)
@given(st.text(max_size=400), st.text(max_size=60), st.text(max_size=40))
@example("", "", "")
@example("{nb} **bold** __u__", "\ud800\x00\u202e\ufeff", "\u0301" * 40)
@example("W" * 400, "漢" * 60, "\U0010ffff")
def test_no_text_breaks_it(event: str, attendee: str, ticket_type: str) -> None:
    paper = replace(PAPER, event=event, attendee=attendee, ticket_type=ticket_type, organization=attendee, venue=event)
    assert ticket_pdf(paper).startswith(b"%PDF-")


def test_base_fonts_draw_the_scripts_of_europe_and_show_what_is_missing() -> None:
    faces = Typefaces(find(BASE)[0])
    for name in ("Łukasz Őri", "Никита", "Ελένη", "Nguyễn Thị", "हिन्दी"):
        assert faces.readable(name) == name
    assert faces.readable("陈 Li") == f"{NOT_DRAWN} Li"
    assert faces.readable("A ⭐️") == f"A {NOT_DRAWN}"
    assert find("no_such_package/font.ttf") == []


def test_installed_fonts_draw_the_scripts_of_malaysia() -> None:
    for name in ("محمد ڤ", "தமிழ்", "สมชาย"):
        assert NOT_DRAWN not in installed().readable(name)


def test_text_is_one_line_without_what_is_not_seen() -> None:
    faces = installed()
    assert faces.readable("  Nur\t\n Aisyah\x00\u200e\u00ad  ") == "Nur Aisyah"
    assert faces.readable("e\u0301") == "é"
    assert faces.readable("क्\u200dष") == "क्\u200dष"
    assert len(faces.readable("x" * 10_000)) == LONGEST


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.floats(0.5, 60))
def test_lines_fit_and_lose_nothing(text: str, ems: float) -> None:
    faces = installed()
    line = faces.readable(text)
    ruler = _Ruler(faces, 400, ems)
    wrapped = ruler.wrap(line)
    assert "".join(wrapped).replace(" ", "") == line.replace(" ", "")
    assert all(ruler.fits(part) or len(part) == 1 for part in wrapped)
    cut = ruler.cut(line)
    assert cut == line or (cut.endswith("…") and line.startswith(cut[:-1]))
    assert ruler.fits(cut) or len(cut) <= 2


def test_a_price_of_nothing_is_free_and_no_price_is_not_said() -> None:
    free, unsaid = (ticket_pdf(replace(PAPER, price=price)) for price in (Money.zero("MYR"), None))
    assert len({ticket_pdf(PAPER), free, unsaid}) == 3


def test_the_fixed_words_can_be_of_another_language() -> None:
    malay = Words(attendee="Peserta", ticket_type="Tiket", price="Harga", hint="Tunjukkan kod ini di pintu masuk")
    assert ticket_pdf(PAPER, words=malay) != ticket_pdf(PAPER)


@pytest.mark.parametrize(
    ("start", "end", "zone", "date", "time"),
    [
        ((28, 11, 30), (28, 15, 0), KUALA_LUMPUR.key, "Saturday, 28 November 2026", f"19:30 – 23:00, {KL}"),
        ((28, 11, 30), None, "Asia/Kolkata", "Saturday, 28 November 2026", "17:00, Kolkata (UTC+5:30)"),
        ((28, 11, 30), None, "America/St_Johns", "Saturday, 28 November 2026", "08:00, St Johns (UTC-3:30)"),
        ((28, 11, 30), None, "UTC", "Saturday, 28 November 2026", "11:30 UTC"),
        ((28, 12, 0), (28, 19, 0), "Europe/London", "Saturday, 28 November 2026", "12:00 – 19:00, London (UTC)"),
        ((28, 14, 0), (28, 19, 0), KUALA_LUMPUR.key, "Saturday, 28 November 2026", f"22:00 – 03:00, {KL}"),
        (
            (28, 1, 0),
            (30, 9, 0),
            KUALA_LUMPUR.key,
            "Saturday, 28 November 2026 – Monday, 30 November 2026",
            f"09:00 – 17:00, {KL}",
        ),
    ],
)  # fmt: skip
def test_times_are_those_of_the_place(
    start: tuple[int, int, int], end: tuple[int, int, int] | None, zone: str, date: str, time: str
) -> None:
    paper = replace(
        PAPER,
        starts_at=datetime(2026, 11, *start, tzinfo=UTC),
        ends_at=datetime(2026, 11, *end, tzinfo=UTC) if end else None,
        timezone=ZoneInfo(zone),
    )
    assert (_date(paper, ENGLISH), _time(paper)) == (date, time)
