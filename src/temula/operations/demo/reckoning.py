"""What was expected, what was sent, what arrived and what was verified: and whether the four agree."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class NotHeard(Exception):
    """Expected webhooks did not arrive in time; the text says which."""


class Expected(NamedTuple):
    """A message that must arrive; `data` are the fields that tell it from others of its type."""

    type: str
    data: Mapping[str, object]

    def fits(self, arrival: "Arrival") -> bool:
        """Tell whether an arrival is this message."""
        return arrival.type == self.type and all(arrival.data.get(name) == self.data[name] for name in self.data)


class Arrival(NamedTuple):
    """A webhook as it arrived, and which of its two signatures held."""

    id: str
    type: str
    data: Mapping[str, Any]
    by_temula: bool
    by_standard: bool

    @property
    def verified(self) -> bool:
        """Whether both signatures held."""
        return self.by_temula and self.by_standard


class Sent(NamedTuple):
    """A delivery as Temula's own log tells of it."""

    message_id: str
    type: str
    state: str
    attempts: int

    @property
    def under_way(self) -> bool:
        """Whether its first attempt has not ended."""
        return self.state == "pending" and not self.attempts


class Line(NamedTuple):
    """One type's row of the final table."""

    type: str
    expected: int
    sent: int
    delivered: int
    by_temula: int
    by_standard: int


class Ledger:
    """Keeps expectations and arrivals, in whichever order they come. Only a message that verifies counts as heard."""

    def __init__(self) -> None:
        self.expected: list[Expected] = []
        self.arrivals: list[Arrival] = []
        self._more = asyncio.Event()

    def expect(self, type_: str, **data: object) -> None:
        """Expect one more message."""
        self.expected.append(Expected(type_, data))

    def take(self, arrival: Arrival) -> None:
        """Note what arrived."""
        self.arrivals.append(arrival)
        self._more.set()

    async def settle(self, patience: float) -> None:
        """Wait until everything expected so far has been heard; raises `NotHeard` after `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while self.missing:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            types = ", ".join(sorted({one.type for one in self.missing}))
            raise NotHeard(f"after {patience:.0f} seconds there is no webhook of {types}") from None

    @property
    def heard(self) -> list[Arrival]:
        """Verified messages, each once: a repeat has the id of its first copy and says nothing new."""
        return list({arrival.id: arrival for arrival in self.arrivals if arrival.verified}.values())

    def of(self, type_: str) -> list[Arrival]:
        """Messages of one type."""
        return [arrival for arrival in self.heard if arrival.type == type_]

    @property
    def missing(self) -> list[Expected]:
        """What is expected and has not been heard."""
        return self._settled()[0]

    @property
    def unexpected(self) -> list[Arrival]:
        """What was heard and not expected."""
        return self._settled()[1]

    def _settled(self) -> tuple[list[Expected], list[Arrival]]:
        left, missing = self.heard, []
        for one in self.expected:
            if (found := next((arrival for arrival in left if one.fits(arrival)), None)) is None:
                missing.append(one)
            else:
                left.remove(found)
        return missing, left

    def lines(self, sent: Sequence[Sent]) -> list[Line]:
        """Count by type, in the order in which types were first expected."""
        unique = {arrival.id: arrival for arrival in self.arrivals}.values()
        counted = [
            Counter(one.type for one in self.expected),
            Counter(one.type for one in sent),
            Counter(one.type for one in unique),
            Counter(one.type for one in unique if one.by_temula),
            Counter(one.type for one in unique if one.by_standard),
        ]
        types = dict.fromkeys(type_ for counter in counted for type_ in counter)
        return [Line(type_, *(counter[type_] for counter in counted)) for type_ in types]

    def faults(self, sent: Sequence[Sent]) -> list[str]:
        """Say everything that is not as it should be; nothing if all is."""
        faults = [f"{one.type} was expected and did not arrive: {_shown(one.data)}" for one in self.missing]
        faults += [f"{one.type} arrived and was not expected: {one.id}" for one in self.unexpected]
        for one in self.arrivals:
            if not one.by_temula:
                faults.append(f"{one.type} {one.id}: X-Temula-Signature does not fit")
            if not one.by_standard:
                faults.append(f"{one.type} {one.id}: the Standard Webhooks signature does not fit")
        return faults + self._against_log(sent)

    def _against_log(self, sent: Sequence[Sent]) -> list[str]:
        """Compare with the sender's log: it has what arrived and nothing else, and counts each try."""
        arrived = Counter(arrival.id for arrival in self.arrivals)
        faults = [
            f"{one.type} {one.message_id}: the log says {one.state} after {one.attempts} attempts, "
            f"{arrived[one.message_id]} arrived"
            for one in sent
            if one.state != "delivered" or one.attempts != arrived[one.message_id]
        ]
        unknown = arrived.keys() - {one.message_id for one in sent}
        return faults + [f"{message_id} arrived and is not in the log" for message_id in sorted(unknown)]


def _shown(data: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in data.items())
