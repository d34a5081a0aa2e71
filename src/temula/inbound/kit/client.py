"""The client that connectors call providers with: the one door out, with what failed named as provider errors."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from temula.kernel.http import Http, NotSent, Request, Response
from temula.kernel.http import OutcomeUnknown as NoAnswer
from temula.kernel.providers import OutcomeUnknown, Unreachable

SAFE = frozenset({"GET", "HEAD"})


class ProviderClient(NamedTuple):
    """A way to one provider: where it is, how long it may take, and what must never reach a log."""

    http: Http
    api_base: str
    deadline: float
    secrets: Collection[str] = ()
    max_response_bytes: int = 4 * 1024 * 1024

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send one request; raises `Unreachable` if it cannot have happened and `OutcomeUnknown` if it can."""
        request = Request(
            method=method, url=url, headers=headers, body=body, deadline=self.deadline,
            max_response_bytes=self.max_response_bytes,
        )  # fmt: skip
        try:
            return await self.http.send(request, policy=None, secrets=self.secrets)
        except NotSent as error:
            raise Unreachable(f"The provider could not be reached ({error.code}).") from error
        except NoAnswer as error:
            if method in SAFE:
                raise Unreachable(f"The provider did not answer ({error.code}).") from error
            raise OutcomeUnknown(f"The provider did not answer ({error.code}); it may have done it.") from error
