"""The ticket's code: the published vectors hold, nothing but the issued text opens a gate, and no text breaks it.

`python tests/domain/tickets/test_code.py` prints `docs/reference/ticket-code-vectors.json` anew.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import base45
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from temula.domain.tickets.model.code import (
    LATEST_GENERATION,
    CodeError,
    CodeForged,
    CodeMalformed,
    CodeUnknownKey,
    TicketCode,
    TicketKey,
    decode,
    encode,
    generate_key,
    product_hint,
)
from temula.kernel.clock import rfc3339
from temula.kernel.ids import EVENT, ORGANIZATION, TICKET, TICKET_TYPE, InvalidId, TicketId

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

OURS, STRANGERS = TicketKey(bytes(range(32))), TicketKey(bytes(range(32, 64)))
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ORGANIZATION_ID = ORGANIZATION.of(UUID("01939d3a-7f00-7abc-8def-000000000001"))
EVENT_ID = EVENT.of(UUID("01939d3a-7f00-7abc-8def-000000000002"))
TICKET_ID = TICKET.of(UUID("01939d3a-7f00-7abc-8def-000000000003"))
TICKET_TYPE_ID = TICKET_TYPE.of(UUID("01939d3a-7f00-7abc-8def-000000000004"))
CODE = TicketCode(ORGANIZATION_ID, EVENT_ID, TICKET_ID, 3, product_hint(TICKET_TYPE_ID))
WINDOWED = replace(CODE, not_before=NOW - timedelta(hours=1), not_after=NOW + timedelta(hours=3))
TEXT = encode(CODE, OURS)

GATE: dict[str, object] = {
    "organization_id": ORGANIZATION_ID,
    "event_id": EVENT_ID,
    "generation": 3,
    "now": rfc3339(NOW),
    "skew_seconds": 0,
}


def ours(text: str) -> TicketCode:
    return decode(text, {OURS.id: OURS.public}.get)


def content_of(text: str) -> bytes:
    blob: bytes = base45.b45decode(text[5:])
    return blob[:-64]


def sealed(content: bytes, key: TicketKey) -> str:
    text: bytes = base45.b45encode(content + key.sign(content))
    return "TML1:" + text.decode()


def verdict(text: str, gate: dict[str, object]) -> str:
    """What a gate says, asked in the order of the reference."""
    try:
        code = ours(text)
    except CodeError as error:
        return type(error).__name__.removeprefix("Code").replace("UnknownKey", "unknown_key").lower()
    if code.organization_id != gate["organization_id"]:
        return "wrong_organization"
    if code.event_id != gate["event_id"]:
        return "wrong_event"
    if code.generation != gate["generation"]:
        return "old_generation"
    now, skew = datetime.fromisoformat(str(gate["now"])), timedelta(seconds=int(str(gate["skew_seconds"])))
    if code.valid_at(now, skew=skew):
        return "valid"
    return "too_early" if code.not_before and now < code.not_before else "too_late"


Case = tuple[str, str, str, dict[str, object]]


def published_cases() -> list[Case]:
    """What each text is, and the gate it is read at where that matters."""
    windowed, content = encode(WINDOWED, OURS), content_of(TEXT)
    forged = content[:53] + b"\0\4" + content[55:]
    other = replace(CODE, event_id=EVENT.of(UUID("01939d3a-7f00-7abc-8def-0000000000ff")))
    elsewhere = replace(CODE, organization_id=ORGANIZATION.of(UUID("01939d3a-7f00-7abc-8def-0000000000fe")))
    upside_down = content_of(windowed)[:59] + content_of(windowed)[63:67] + content_of(windowed)[59:63]
    opens, closes = WINDOWED.not_before, WINDOWED.not_after
    assert opens is not None
    assert closes is not None
    return [
        ("valid", TEXT, "valid", {}),
        ("valid: typed in lower case by a scanner that adds a line end", TEXT.lower() + "\r\n", "valid", {}),
        ("valid: the last generation there can be", encode(replace(CODE, generation=65535), OURS), "valid",
         {"generation": 65535}),
        ("valid: inside its window", windowed, "valid", {}),
        ("window: the first moment", windowed, "valid", {"now": rfc3339(opens)}),
        ("window: a second early", windowed, "too_early", {"now": rfc3339(opens - timedelta(seconds=1))}),
        ("window: the last moment", windowed, "valid", {"now": rfc3339(closes - timedelta(milliseconds=1))}),
        ("window: over", windowed, "too_late", {"now": rfc3339(closes)}),
        ("clock skew: early by less than the gate's clock may be wrong", windowed, "valid",
         {"now": rfc3339(opens - timedelta(seconds=90)), "skew_seconds": 120}),
        ("clock skew: early by more", windowed, "too_early",
         {"now": rfc3339(opens - timedelta(seconds=121)), "skew_seconds": 120}),
        ("clock skew: late by more", windowed, "too_late",
         {"now": rfc3339(closes + timedelta(seconds=120)), "skew_seconds": 120}),
        ("wrong key: signed by and naming a stranger's", encode(CODE, STRANGERS), "unknown_key", {}),
        ("wrong key: names ours, signed by a stranger's", sealed(content, STRANGERS), "forged", {}),
        ("changed: another generation under the old signature", "TML1:" + base45.b45encode(
            forged + OURS.sign(content)).decode(), "forged", {}),
        ("changed: signed without the prefix", "TML1:" + base45.b45encode(
            content + OURS._key.sign(content)).decode(), "forged", {}),
        ("wrong organization", encode(elsewhere, OURS), "wrong_organization", {}),
        ("wrong event", encode(other, OURS), "wrong_event", {}),
        ("old generation: transferred since", TEXT, "old_generation", {"generation": 4}),
        ("malformed: nothing", "", "malformed", {}),
        ("malformed: another QR code", "https://example.com/tickets/1", "malformed", {}),
        ("malformed: no prefix", TEXT[5:], "malformed", {}),
        ("malformed: one character short", TEXT[:-1], "malformed", {}),
        ("malformed: one character long", TEXT + "0", "malformed", {}),
        ("malformed: over-long, signed content of 300 bytes", sealed(content + bytes(233), OURS), "malformed", {}),
        ("malformed: short, signed content of 66 bytes", sealed(content[:-1], OURS), "malformed", {}),
        ("malformed: a character that is not Base45", TEXT[:20] + "#" + TEXT[21:], "malformed", {}),
        ("malformed: three characters above 65535", TEXT[:5] + ":::" + TEXT[8:], "malformed", {}),
        ("malformed: a letter that is ASCII only in upper case", TEXT[:5] + "\u017f" + TEXT[6:], "malformed", {}),
        ("malformed: version 2, signed", sealed(b"\2" + content[1:], OURS), "malformed", {}),
        ("malformed: a window that ends before it begins, signed", sealed(upside_down, OURS), "malformed", {}),
    ]  # fmt: skip


def vectors() -> dict[str, object]:
    """The published file, made anew: Ed25519 signs the same content in the same way each time."""
    opens, closes = WINDOWED.not_before, WINDOWED.not_after
    assert opens is not None
    assert closes is not None
    return {
        "format": "TML1",
        "described_in": "ticket-code.md",
        "keys": [{"id": OURS.id.hex(), "public": OURS.public.raw.hex(), "seed": OURS.seed.hex()}],
        "strangers_key": {"public": STRANGERS.public.raw.hex(), "seed": STRANGERS.seed.hex()},
        "gate": GATE,
        "code": {
            "text": TEXT,
            "content": content_of(TEXT).hex(),
            "ticket_id": CODE.ticket_id,
            "ticket_type_id": TICKET_TYPE_ID,
            "product_hint": CODE.product_hint.hex(),
        },
        "window": {"not_before": rfc3339(opens), "not_after": rfc3339(closes)},
        "vectors": [
            {"name": name, "text": text, "verdict": said, **({"gate": gate} if gate else {})}
            for name, text, said, gate in published_cases()
        ],
    }


PUBLISHED = vectors()


def test_the_published_vectors_are_those_made_here() -> None:
    published = json.loads((REFERENCE / "ticket-code-vectors.json").read_text())
    assert published == PUBLISHED, f"run python {__file__} > docs/reference/ticket-code-vectors.json"


def cases() -> list[dict[str, object]]:
    found = PUBLISHED["vectors"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case["name"]))
def test_the_vectors_hold(case: dict[str, object]) -> None:
    gate = case.get("gate", {})
    assert isinstance(gate, dict)
    assert verdict(str(case["text"]), GATE | gate) == case["verdict"]


def test_a_verifier_written_from_the_reference_alone_agrees() -> None:
    """The Python in `ticket-code.md`, which imports nothing of ours."""
    source = re.search(r"```python\n(.*?)```", (REFERENCE / "ticket-code.md").read_text(), re.DOTALL)
    assert source is not None
    assert "temula" not in source[1]
    strangers: dict[str, Callable[..., str]] = {}
    exec(source[1], strangers)  # noqa: S102 - it is our own page
    public = {OURS.id: OURS.public.raw}
    for case in cases():
        gate = case.get("gate", {})
        assert isinstance(gate, dict)
        theirs = strangers["verify"](case["text"], public, **(GATE | gate))
        assert theirs == case["verdict"], case["name"]


def test_a_code_fits_the_alphanumeric_mode_and_holds_no_name() -> None:
    assert len(TEXT) == 202
    assert set(TEXT) <= set(ALPHABET)


uuids = st.uuids()
codes = st.builds(
    lambda o, e, t, generation, hint, start, length: TicketCode(
        ORGANIZATION.of(o),
        EVENT.of(e),
        TICKET.of(t),
        generation,
        hint,
        None if start is None else NOW + timedelta(minutes=start),
        length and NOW + timedelta(minutes=(start or 0) + length),
    ),
    uuids,
    uuids,
    uuids,
    st.integers(0, LATEST_GENERATION),
    st.binary(min_size=4, max_size=4),
    st.none() | st.integers(-(10**6), 10**6),
    st.none() | st.integers(1, 10**6),
)


@given(codes)
def test_every_code_survives(code: TicketCode) -> None:
    text = encode(code, OURS)
    assert len(text) == 202
    assert ours(text) == ours(text.lower()) == ours(f"\n {text}\t\r\n") == code


@given(st.integers(0, LATEST_GENERATION))
def test_each_generation_is_its_own_code(generation: int) -> None:
    assert ours(encode(replace(CODE, generation=generation), OURS)).generation == generation


@given(codes)
def test_another_key_opens_nothing(code: TicketCode) -> None:
    stranger = generate_key()
    text = encode(code, stranger)
    with pytest.raises(CodeUnknownKey):
        ours(text)
    with pytest.raises(CodeForged):
        decode(text, lambda _: OURS.public)


@given(st.integers(0, len(TEXT) - 1), st.characters() | st.sampled_from(ALPHABET))
@example(0, " ")
def test_no_change_of_one_character_is_another_ticket(place: int, character: str) -> None:
    changed = TEXT[:place] + character + TEXT[place + 1 :]
    try:
        assert ours(changed) == CODE
    except CodeError:
        return
    assert changed.strip().upper() == TEXT


@given(st.integers(0, len(TEXT) - 1))
def test_no_loss_of_one_character_is_another_ticket(place: int) -> None:
    with pytest.raises(CodeMalformed):
        ours(TEXT[:place] + TEXT[place + 1 :])


@given(st.integers(0, 131 * 8 - 1))
def test_no_change_of_one_bit_is_another_ticket(bit: int) -> None:
    blob = bytearray(content_of(TEXT) + OURS.sign(content_of(TEXT)))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CodeError):
        decode("TML1:" + base45.b45encode(bytes(blob)).decode(), lambda _: OURS.public)


@given(
    st.text()
    | st.text(ALPHABET, min_size=197, max_size=197).map(lambda tail: "TML1:" + tail)
    | st.binary(min_size=131, max_size=131).map(lambda blob: "TML1:" + base45.b45encode(blob).decode())
    | st.binary(min_size=67, max_size=67).map(lambda content: sealed(content, OURS))
)
@example("TML1:" + "0" * 10**6)
@example("TML1:" + "\n" * 197)
@example("\ud800")
def test_any_text_is_a_code_or_a_code_error(text: str) -> None:
    with pytest.raises(CodeError):
        decode(text, lambda _: OURS.public)


def test_a_signed_code_of_any_content_decodes_or_is_malformed() -> None:
    content = content_of(TEXT)
    assert sealed(content, OURS) == TEXT
    with pytest.raises(CodeMalformed, match="version"):
        ours(sealed(b"\0" + content[1:], OURS))


def test_a_code_says_only_what_it_can_carry() -> None:
    with pytest.raises(ValueError, match="generation"):
        replace(CODE, generation=LATEST_GENERATION + 1)
    with pytest.raises(ValueError, match="generation"):
        replace(CODE, generation=-1)
    with pytest.raises(ValueError, match="hint"):
        replace(CODE, product_hint=b"abc")
    with pytest.raises(ValueError, match="minutes"):
        replace(CODE, not_before=NOW + timedelta(seconds=1))
    with pytest.raises(ValueError, match="minutes"):
        replace(CODE, not_after=datetime(1970, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="ends after"):
        replace(CODE, not_before=NOW, not_after=NOW)
    with pytest.raises(InvalidId):
        replace(CODE, ticket_id=TicketId("tkt_1"))


def test_the_window_is_half_open_and_widened_by_the_skew() -> None:
    opens, closes = NOW - timedelta(hours=1), NOW + timedelta(hours=3)
    second = timedelta(seconds=1)
    assert [WINDOWED.valid_at(at) for at in (opens - second, opens, closes - second, closes)] == [
        *(False, True, True, False)
    ]
    assert [WINDOWED.valid_at(at, skew=second) for at in (opens - second, opens - 2 * second, closes)] == [
        *(True, False, True)
    ]
    assert CODE.valid_at(datetime(1999, 1, 1, tzinfo=UTC))


def test_the_hint_fits_its_ticket_type() -> None:
    assert CODE.fits(TICKET_TYPE_ID)
    assert not CODE.fits(TICKET_TYPE.new(NOW))


def test_a_private_key_does_not_show_itself() -> None:
    assert OURS.seed.hex() not in repr(OURS)
    assert repr(OURS.seed) not in repr(OURS)
    assert TicketKey(OURS.seed) == OURS


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=2)
    sys.stdout.write("\n")
