"""What a sender has to offer to be checked: an adapter is a subclass that overrides what its sender can do.

What is left as it is raises `NotOffered`, and the checks that need it are graded so: not failed, not passed.
"""

from collections.abc import Sequence
from typing import NamedTuple


class NotOffered(Exception):
    """The sender has no such thing; the text says what."""


class Refused(Exception):
    """The sender did not take what it was asked to."""


class Endpoint(NamedTuple):
    """An endpoint at the sender: `secret` signs its messages, as `whsec_` and base64; `topic` is the adapter's own."""

    id: str
    url: str
    secret: str
    topic: str = ""


class Attempt(NamedTuple):
    """One try as the sender's own log tells of it; `error` is its word for an answer that did not come."""

    number: int
    status: int | None
    error: str | None


class Marker(NamedTuple):
    """How a message is known when it arrives: every part is somewhere in its body."""

    parts: tuple[str, ...]

    def fits(self, body: bytes) -> bool:
        """Tell whether a body is of this message."""
        text = body.decode(errors="replace")
        return all(part in text for part in self.parts)


class Promises(NamedTuple):
    """What the sender says of itself; times in seconds of its own clock, except `deadline`, which is of the wall's.

    `waits` are those before attempt 2, 3...; `jitter` is the largest part of a wait that is added to it. After
    `disable_after` failures in a row, over at least `disable_over`, an endpoint is disabled. `lease` is how long what a
    worker held when it was killed may lie, `port` one that names may be dialled at,
    and `patience` the seconds of the wall's time after which what should have come is not waited for any longer.
    """

    waits: Sequence[float]
    jitter: float
    deadline: float
    disable_after: int | None
    disable_over: float
    overlap: float
    lease: float
    port: int = 443
    patience: float = 20.0


class Sender:
    """An adapter: `async with` starts the sender and ends it. All of its methods may be called at once."""

    name = "nameless"
    promises = Promises((), 0.0, 30.0, None, 0.0, 86400.0, 60.0)

    async def __aenter__(self) -> "Sender":
        """Start the sender, or connect to it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing behind."""

    async def create_endpoint(self, url: str, *, ordered: bool = False) -> Endpoint:
        """Add an endpoint that hears what is published for it and nothing else; raises `Refused` if its URL is.

        An `ordered` one gets the messages of one key in their order.
        """
        raise NotOffered("endpoints")

    async def change_url(self, endpoint: Endpoint, url: str) -> None:
        """Let an endpoint's messages go elsewhere; raises `Refused` if it may not be."""
        raise NotOffered("changing an endpoint's URL")

    async def delete_endpoint(self, endpoint: Endpoint) -> None:
        """Remove it."""
        raise NotOffered("removing endpoints")

    async def publish(self, endpoint: Endpoint, text: str = "") -> Marker:
        """Have a message sent to the endpoint, whose body has `text` somewhere; return once it is accepted."""
        raise NotOffered("publishing")

    async def publish_series(self, endpoint: Endpoint) -> list[Marker]:
        """Publish at least two messages of one new key, one after the other."""
        raise NotOffered("order per key")

    async def share(self, endpoint: Endpoint, url: str) -> Endpoint:
        """Add a second endpoint that hears the same messages."""
        raise NotOffered("two endpoints for one message")

    async def now(self) -> float:
        """Give the sender's time, in seconds since 1970."""
        raise NotOffered("its time")

    async def pass_time(self, seconds: float) -> None:
        """Let time pass at the sender: move its clock, or wait if its schedule was shortened."""
        raise NotOffered("passing time")

    async def attempts(self, endpoint: Endpoint, marker: Marker) -> list[Attempt]:
        """List the tries of one message to one endpoint, oldest first."""
        raise NotOffered("a log of attempts")

    async def logged(self, endpoint: Endpoint) -> int:
        """Count the tries in the log of an endpoint, so that time is not moved before what was tried is written."""
        raise NotOffered("a count of attempts")

    async def enabled(self, endpoint: Endpoint) -> bool:
        """Tell whether the endpoint still gets messages."""
        raise NotOffered("the state of an endpoint")

    async def enable(self, endpoint: Endpoint) -> None:
        """Let a disabled endpoint get messages again."""
        raise NotOffered("enabling an endpoint")

    async def rotate(self, endpoint: Endpoint) -> Endpoint:
        """Give the endpoint a new secret; for `Promises.overlap` seconds the previous one signs too."""
        raise NotOffered("rotating a secret")

    async def replay(self, endpoint: Endpoint, marker: Marker) -> None:
        """Send a message again that was delivered before."""
        raise NotOffered("replaying a message")

    async def replay_all(self, endpoint: Endpoint, since: float) -> None:
        """Send everything since a time again."""
        raise NotOffered("replaying everything since a time")

    async def pull(self, endpoint: Endpoint) -> list[bytes]:
        """Read the bodies of everything published for the endpoint, by the sender's API."""
        raise NotOffered("reading messages instead of receiving them")

    async def kill(self) -> None:
        """End what sends, at once, as by `kill -9`."""
        raise NotOffered("being killed")

    async def start(self) -> None:
        """Start what sends again."""
        raise NotOffered("being started")

    async def aim(self, name: str, addresses: Sequence[str]) -> None:
        """Make a name lead to these addresses for the sender from now on, as a name server would."""
        raise NotOffered("another name server")
