"""What every connector's callbacks promise: pure, and nothing counts but what the provider itself signed just now.

A connector's tests fill in the class attributes and `sign`, which is the provider's own way of signing and shares no
code with ours.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.inbound.kit.registry import Callbacks

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


class CallbacksContract:
    callbacks: ClassVar[Callbacks]
    body: ClassVar[bytes]
    """A callback about something we act on, of the sandbox."""
    secret: ClassVar[str]
    other: ClassVar[str]
    """Another secret of the same form."""
    signature: ClassVar[str]
    """The header that carries the signature, in lower case."""

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """Give the headers that the provider sends with a body."""
        raise NotImplementedError

    def credentials(self, *secrets: str) -> dict[str, str]:
        """Give the credentials of a connection with these signing secrets."""
        raise NotImplementedError

    def genuine(
        self, body: bytes, headers: Mapping[str, str], *secrets: str, now: datetime = NOW
    ) -> bool:  # fmt: skip
        return self.callbacks.is_genuine(body, headers, self.credentials(*(secrets or (self.secret,))), now)

    def test_genuine(self) -> None:
        """What the provider signed is genuine, and it is the same callback whenever it is sent again."""
        for minutes in (0, 1, 2):
            at = NOW + timedelta(minutes=minutes)
            assert self.genuine(self.body, self.sign(self.body, self.secret, at), now=at)
        assert self.callbacks.callback_id(self.body) == self.callbacks.callback_id(bytes(self.body)) != ""
        assert self.callbacks.mode(self.body) == "sandbox"
        assert self.callbacks.parse(self.body) != []

    @given(data=st.data())
    def test_any_flipped_bit(self, data: st.DataObject) -> None:
        """One bit of the body is another body, and is refused."""
        place = data.draw(st.integers(0, len(self.body) - 1))
        flipped = bytearray(self.body)
        flipped[place] ^= 1 << data.draw(st.integers(0, 7))
        assert not self.genuine(bytes(flipped), self.sign(self.body, self.secret, NOW))

    @given(data=st.data())
    def test_any_changed_header(self, data: st.DataObject) -> None:
        """One changed character of the signature's header is refused, or says the same as before."""
        header = self.sign(self.body, self.secret, NOW)
        text = header[self.signature]
        place = data.draw(st.integers(0, len(text) - 1))
        character = data.draw(st.characters(max_codepoint=0x2FF, exclude_characters=text[place]))
        changed = text[:place] + character + text[place + 1 :]
        assert not self.genuine(self.body, {self.signature: changed}) or changed.strip().casefold() == text.casefold()

    @given(text=st.text(st.characters(max_codepoint=0x2FF), max_size=80), body=st.binary(max_size=80))
    def test_anything_at_all(self, text: str, body: bytes) -> None:
        """Nobody who does not have the secret makes a genuine callback, nor a crash."""
        assert not self.genuine(body, {self.signature: text})
        assert not self.genuine(self.body, {self.signature: text})

    def test_no_signature(self) -> None:
        """Without a signature, or with another provider's, it is refused."""
        assert not self.genuine(self.body, {})
        assert not self.genuine(self.body, {"x-signature": "0" * 64})

    def test_other_secret(self) -> None:
        """What another secret signed is refused, and a connection without a secret takes nothing."""
        signed = self.sign(self.body, self.other, NOW)
        assert not self.genuine(self.body, signed)
        assert not self.callbacks.is_genuine(self.body, self.sign(self.body, "", NOW), self.credentials(), NOW)
        assert not self.callbacks.is_genuine(self.body, signed, {}, NOW)

    def test_two_secrets_while_one_is_rolled(self) -> None:
        """While a secret is rolled both count, and only they."""
        for secret in (self.secret, self.other):
            assert self.genuine(self.body, self.sign(self.body, secret, NOW), self.secret, self.other)
        assert not self.genuine(self.body, self.sign(self.body, f"{self.secret}x", NOW), self.secret, self.other)

    @pytest.mark.parametrize("minutes", [-24 * 60, -6, 6, 24 * 60])
    def test_of_another_time(self, minutes: int) -> None:
        """A signature from long before, or of a time to come, is refused."""
        assert not self.genuine(self.body, self.sign(self.body, self.secret, NOW + timedelta(minutes=minutes)))
