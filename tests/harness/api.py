"""A caller of the API over real HTTP, with one organization's token."""

import json
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp


class Answer(NamedTuple):
    """What came back; `json` is None where there is no JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if "json" in self.headers.get("content-type", "") else None

    @property
    def code(self) -> str:
        """The stable code of a problem (RFC 9457)."""
        assert self.headers["content-type"] == "application/problem+json", self
        return self.json["code"]


class Api:
    """`await api.post("/events", {...})`; paths are below `/api/v1` unless they begin with `//`."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: str | None) -> None:
        self._session = session
        self.base_url = base_url
        self.token = token

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Any request; nothing is checked."""
        url = self.base_url + (path[1:] if path.startswith("//") else f"/api/v1{path}")
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = raw
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        async with self._session.request(
            method, url, data=data, headers={**sent, **(headers or {})}, allow_redirects=False
        ) as answer:
            named = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, named, await answer.read())

    async def get(self, path: str) -> Any:
        return (await self._good("GET", path)).json

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:
        """A write, under an Idempotency-Key of its own unless one is given."""
        headers = {"Idempotency-Key": key or uuid4().hex}
        return (await self._good("POST", path, {} if body is None else body, headers=headers)).json

    async def patch(self, path: str, body: object) -> Any:
        return (await self._good("PATCH", path, body)).json

    async def delete(self, path: str) -> None:
        await self._good("DELETE", path)

    async def every(self, path: str, limit: int = 50) -> list[Any]:
        """All pages of a list."""
        found, cursor, mark = [], None, "&" if "?" in path else "?"
        while True:
            page = await self.get(f"{path}{mark}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            found += page["data"]
            if (cursor := page["next_cursor"]) is None:
                return found

    async def _good(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        answer = await self.call(method, path, body, **more)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.body.decode(errors='replace')}"
        return answer
