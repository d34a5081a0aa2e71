"""How commands call a running Temula, as any program would: JSON over HTTP with a bearer token."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from temula.kernel.errors import InvalidInput, Unavailable
from temula.kernel.http import Http, HttpError, Request, Response

DEADLINE = 30.0
LARGEST_ANSWER = 4 * 1024 * 1024
UNAUTHENTICATED = 401
QUICKSTART = "quickstart.json"


class Access(msgspec.Struct, frozen=True):
    """Where a running Temula is, and as whom to call it: what is needed of `quickstart.json`."""

    base_url: str
    token: str


class Sandbox(msgspec.Struct, frozen=True):
    """Whose sandbox `temula up` has made: what else is needed of `quickstart.json`."""

    organization_id: str


def access(folder: Path, base_url: str | None = None, token: str | None = None) -> Access:
    """Read `quickstart.json` of a data folder, unless all is given; raises `Unavailable` if there is none."""
    if base_url is not None and token is not None:
        return Access(base_url, token)
    file = folder / QUICKSTART
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Access)
    except FileNotFoundError:
        raise Unavailable(f"{file} does not exist: start Temula first, with `make run` or `temula up`.") from None
    return Access(base_url or found.base_url, token or found.token)


def sandbox(folder: Path) -> str:
    """Give the organization of `quickstart.json`; raises `InvalidInput` where there is none."""
    file = folder / QUICKSTART
    try:
        return msgspec.json.decode(file.read_bytes(), type=Sandbox).organization_id
    except FileNotFoundError:
        raise InvalidInput(
            f"Name the organization with --organization org_...; there is no {file} to name one."
        ) from None


class Refused(Exception):
    """The API gave another answer than the one that was asked for; the text says which."""

    def __init__(self, method: str, path: str, answer: Response) -> None:
        said = _said(answer)
        super().__init__(f"{method} {path} was answered {answer.status}: {said}")
        self.status = answer.status
        # Of what was asked for wrongly the problem says all; of anything else one wants to know what was asked.
        self.detail = said.partition(": ")[2] if 400 <= answer.status < 500 and ": " in said else str(self)


class Api:
    """One organization's way in."""

    def __init__(self, http: Http, base_url: str, token: str) -> None:
        self._http = http
        self._token = token
        self.base_url = base_url.rstrip("/")

    async def get(self, path: str) -> Any:
        """Read something."""
        return json.loads((await self._call("GET", path)).body)

    async def post(self, path: str, body: object = None, *, refused_as: int | None = None) -> Any:
        """Write something, once: if the answer is lost, the same call under the same key gives it again."""
        payload = json.dumps({} if body is None else body).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        return json.loads((await self._call("POST", path, headers, payload, refused_as)).body)

    async def patch(self, path: str, body: object) -> Any:
        """Change something."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        return json.loads((await self._call("PATCH", path, headers, json.dumps(body).encode())).body)

    async def delete(self, path: str) -> None:
        """Remove something."""
        await self._call("DELETE", path)

    async def file(self, url: str) -> tuple[str, bytes]:
        """Fetch what is no JSON: its media type and its bytes; a whole address is taken as it is."""
        answer = await self._call("GET", url)
        return answer.header("content-type") or "", answer.body

    async def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"",
        refused_as: int | None = None,
    ) -> Response:  # fmt: skip
        url = path if path.startswith("http") else f"{self.base_url}/api/v1{path}"
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        request = Request(method, url, sent, body, DEADLINE, LARGEST_ANSWER)
        answer = await self._http.send(request, policy=None, secrets=(self._token,))
        as_asked = answer.status == refused_as if refused_as else 200 <= answer.status < 300
        if not as_asked:
            raise Refused(method, path, answer)
        return answer


async def greet(api: Api) -> dict[str, Any]:
    """Make sure that there is a server and that it knows us; give our organization. Raises `Unavailable`."""
    try:
        organization: dict[str, Any] = await api.get("/organization")
    except HttpError:
        raise Unavailable(
            f"Nothing answers at {api.base_url}: start Temula first, with `make run` or `temula up`."
        ) from None
    except Refused as refused:
        if refused.status != UNAUTHENTICATED:
            raise Unavailable(f"{api.base_url} does not answer as Temula does: {refused}.") from None
        raise Unavailable(f"{api.base_url} does not know the token of quickstart.json: is it another server?") from None
    return organization


class Buyer:
    """Somebody with a browser and a test card, at the provider's payment page."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def pay(self, page: str, card: str) -> str:
        """Look at the page, send its form, follow it back to the shop; give what the shop says there."""
        await self._look("GET", page, 200)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        address = f"{page.partition('?')[0]}/pay"
        answer = await self._look("POST", address, 303, form, f"card={card}".encode())
        back = await self._look("GET", answer.header("location") or "", 200)
        return back.body.decode()

    async def _look(
        self, method: str, url: str, wanted: int, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Response:
        request = Request(method, url, headers or {}, body, DEADLINE, LARGEST_ANSWER)
        answer = await self._http.send(request, policy=None)
        if answer.status != wanted:
            raise Refused(method, url, answer)
        return answer


def _said(answer: Response) -> str:
    """Give the problem's code and detail (RFC 9457), or how the body begins."""
    try:
        problem = json.loads(answer.body)
        return f"{problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return answer.body[:200].decode(errors="replace")
