"""Secrets at rest: what is sealed opens for its own place, whole, with its own ring, and for nobody else."""

import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from temula.kernel.crypto import FileKeyRing, KeyRing, Unopenable, load, new_ring, save_file
from temula.kernel.errors import Misconfigured

RING = new_ring()
secrets = st.binary(max_size=300)
contexts = st.text(max_size=40)
names = st.text(min_size=1, max_size=20).filter(lambda name: 0 < len(name.encode(errors="replace")) < 256)


@given(secret=secrets, context=contexts)
def test_what_is_sealed_opens(secret: bytes, context: str) -> None:
    """The same bytes come back; sealed twice it looks different; the secret is not to be seen in it."""
    sealed = RING.seal(secret, context)
    assert RING.open(sealed, context) == secret
    assert RING.seal(secret, context) != sealed
    assert len(secret) < 4 or secret not in sealed


@given(secret=secrets, place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_changed_byte_does_not_open(secret: bytes, place: int, change: int) -> None:
    """Whichever byte is changed, and however."""
    sealed = bytearray(RING.seal(secret, "here"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(Unopenable):
        RING.open(bytes(sealed), "here")


@given(secret=secrets, cut=st.integers(1, 500), more=st.binary(max_size=20))
def test_a_cut_or_longer_value_does_not_open(secret: bytes, cut: int, more: bytes) -> None:
    """Nor does one that lost its end, nor one with something behind it, nor anything else."""
    sealed = RING.seal(secret, "here")
    for wrong in (sealed[:-cut], sealed + more + b"!", more):
        with pytest.raises(Unopenable):
            RING.open(wrong, "here")


@given(secret=secrets, own=contexts, other=contexts)
def test_a_value_moved_elsewhere_does_not_open(secret: bytes, own: str, other: str) -> None:
    """It is bound to organization, object and field: in another row, column or tenant it is worthless."""
    assume(own != other)
    sealed = RING.seal(secret, own)
    for move in (RING.open, RING.with_new_primary().rewrap):
        with pytest.raises(Unopenable):
            move(sealed, other)


@given(secret=secrets, context=contexts, rotations=st.integers(1, 4))
def test_rotation_keeps_every_value(secret: bytes, context: str, rotations: int) -> None:
    """Wrapped anew it opens with the new key alone, and no more with the old; wrapped already it is left alone."""
    ring, sealed = RING, RING.seal(secret, context)
    for _ in range(rotations):
        ring = ring.with_new_primary()
        assert ring.open(sealed, context) == secret
        again = ring.rewrap(sealed, context)
        assert again is not None
        assert ring.rewrap(again, context) is None
        assert again.startswith(ring.head)
        sealed = again
    assert ring.only_primary().open(sealed, context) == secret
    with pytest.raises(Unopenable, match="restore that key"):
        RING.open(sealed, context)


@given(keys=st.dictionaries(names, st.binary(min_size=32, max_size=32), min_size=1, max_size=4))
def test_a_ring_survives_its_file(keys: dict[str, bytes]) -> None:
    """Written and read again it opens what it sealed."""
    ring = KeyRing(keys, min(keys))
    sealed = ring.seal(b"secret", "here")
    assert load(ring.dump()).open(sealed, "here") == b"secret"


@given(text=st.text(max_size=50), other=st.text(max_size=50))
def test_a_tag_is_for_one_text(text: str, other: str) -> None:
    """A tag fits its text, no other text, and no other ring."""
    tag = RING.tag(text)
    assert RING.has_tagged(text, tag)
    assert RING.with_new_primary().has_tagged(text, tag)
    assert not new_ring().has_tagged(text, tag)
    assert text == other or not RING.has_tagged(other, tag)
    assert not RING.has_tagged(text, tag[:-1])
    assert not RING.has_tagged(text, b"")


@pytest.mark.parametrize(
    "text", ["", "{}", '{"primary":"k1","keys":{"k1":"c2hvcnQ="}}', '{"primary":"k2","keys":{}}', "\xff"]
)
def test_a_ring_that_is_none_is_refused(text: str) -> None:
    """The error says what is wrong and shows no key."""
    with pytest.raises(Misconfigured) as refused:
        load(text)
    assert "c2hvcnQ" not in refused.value.detail


def test_a_ring_others_may_read_is_refused(tmp_path: Path) -> None:
    """The file is its owner's alone."""
    file = tmp_path / "keys.json"
    save_file(RING, file)
    file.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        FileKeyRing(file)


def test_a_running_process_follows_the_file(tmp_path: Path) -> None:
    """After a rotation it seals with the new key, opens what was sealed before, and bears a file that is broken."""
    file = tmp_path / "keys.json"
    save_file(RING, file)
    following = FileKeyRing(file)
    before = following.seal(b"before", "here")
    rotated = RING.with_new_primary()
    save_file(rotated.only_primary(), file)
    after = following.seal(b"after", "here")
    assert after.startswith(rotated.head)
    assert following.open(before, "here") == b"before"
    assert rotated.only_primary().open(after, "here") == b"after"
    file.write_bytes(b"broken")
    os.utime(file, ns=(1, 1))
    assert following.open(after, "here") == b"after"
    file.unlink()
    assert following.open(before, "here") == b"before"
