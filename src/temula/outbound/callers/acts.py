"""How a route reads and writes for its caller: one transaction an act, and a repeated write that is done once.

An `Idempotency-Key` is a row in the transaction of the effect itself, so the two cannot come apart. A write that has to
ask a stranger in between is two transactions; a repeat that finds it half done finishes it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from litestar import MediaType, Request, Response

from temula.kernel.crypto import KeyRing
from temula.kernel.database import Database, UnitOfWork
from temula.kernel.errors import InvalidInput
from temula.kernel.pages import Page, Window, window
from temula.outbound.callers import store
from temula.outbound.callers.errors import Changed, KeyReused, StillRunning
from temula.outbound.callers.model import Caller
from temula.outbound.callers.problems import PROBLEM_JSON

T = TypeVar("T")
M = TypeVar("M")

LONGEST_KEY = 255
_encoder = msgspec.json.Encoder()


class Answer(NamedTuple):
    """What a write answers: a view and its status."""

    content: msgspec.Struct | None
    status: int = 200
    media_type: str = "application/json"

    def encoded(self) -> bytes:
        """Give the body."""
        return b"" if self.content is None else _encoder.encode(self.content)


class Act:
    """One request's way to the database, under its caller."""

    def __init__(self, request: Request[Any, Any, Any], caller: Caller, database: Database, ring: KeyRing) -> None:
        self._request = request
        self._database = database
        self._ring = ring
        self.caller = caller
        self.actor = caller.actor

    async def read(self, work: Callable[[UnitOfWork], Awaitable[msgspec.Struct]]) -> Response[Any]:
        """Answer with what `work` finds and its ETag; with nothing if the caller has it already (RFC 9110, 13.1.2)."""
        async with self._database.reading(self.actor) as uow:
            body = _encoder.encode(await work(uow))
        etag = _etag(body)
        if etag in _listed(self._request.headers.get("if-none-match")):
            return Response(None, status_code=304, headers={"ETag": etag})
        return Response(body, media_type=MediaType.JSON, headers={"ETag": etag})

    def require_match(self, view: msgspec.Struct) -> None:
        """Refuse a change if `If-Match` names another state than this one, which the unit of work has locked."""
        named = self._request.headers.get("if-match")
        if named is not None and named.strip() != "*" and _etag(_encoder.encode(view)) not in _listed(named):
            raise Changed("It was changed since you got it; get it again and send its new ETag.")

    async def read_raw(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Give what `work` finds, for answers that are not JSON."""
        async with self._database.reading(self.actor) as uow:
            return await work(uow)

    def window(self, cursor: str | None, limit: int | None, *filters: str | None) -> Window:
        """Read the caller's place in a list; a cursor counts for its organization, route and filters only."""
        return window(self._ring, cursor, limit, self.actor.organization_id, self._request.url.path, *filters)

    async def write(self, work: Callable[[UnitOfWork], Awaitable[Answer]]) -> Response[Any]:
        """Do `work` in one transaction and answer with what it gives; a repeat gives the same answer, undone."""
        key = self._key()
        if key is None:
            return _response(await self._database.run(self.actor, work))
        fingerprint = await self._fingerprint()

        async def once(uow: UnitOfWork) -> Answer | Response[Any]:
            if not await store.claim_key(uow, key, fingerprint):
                return await self._replay(uow, key, fingerprint)
            answer = await work(uow)
            await self._keep(uow, key, answer)
            return answer

        done = await self._database.run(self.actor, once)
        return _response(done) if isinstance(done, Answer) else done

    async def write_in_two(
        self,
        first: Callable[[UnitOfWork], Awaitable[str]],
        between: Callable[[str], Awaitable[None]],
        then: Callable[[UnitOfWork, str], Awaitable[Answer]],
    ) -> Response[Any]:
        """Write, ask a stranger with no transaction open, then answer. `first` gives the id of what it made."""
        key = self._key()
        fingerprint = await self._fingerprint() if key is not None else b""

        async def start(uow: UnitOfWork) -> str | Response[Any]:
            if key is not None and not await store.claim_key(uow, key, fingerprint):
                return await self._resume_or_replay(uow, key, fingerprint)
            made = await first(uow)
            if key is not None:
                await store.set_resource(uow, key, made)
            return made

        started = await self._database.run(self.actor, start)
        if isinstance(started, Response):
            return started
        await between(started)

        async def finish(uow: UnitOfWork) -> Answer:
            answer = await then(uow, started)
            if key is not None:
                await self._keep(uow, key, answer)
            return answer

        return _response(await self._database.run(self.actor, finish))

    def _key(self) -> str | None:
        key = self._request.headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
            raise InvalidInput(f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters.")
        return key

    async def _fingerprint(self) -> bytes:
        body = await self._request.body()
        head = f"{self._request.method}\n{self._request.url.path}\n{self._request.url.query}\n"
        return hashlib.sha256(head.encode() + body).digest()

    async def _keep(self, uow: UnitOfWork, key: str, answer: Answer) -> None:
        # Sealed, because an answer may hold a secret that is shown once.
        sealed = self._ring.seal(answer.encoded(), self._context(key))
        await store.set_answer(uow, key, answer.status, sealed)

    async def _replay(self, uow: UnitOfWork, key: str, fingerprint: bytes) -> Response[Any]:
        done = await self._resume_or_replay(uow, key, fingerprint)
        if isinstance(done, str):
            raise StillRunning("The first request with this Idempotency-Key is not answered yet; repeat it soon.")
        return done

    async def _resume_or_replay(self, uow: UnitOfWork, key: str, fingerprint: bytes) -> str | Response[Any]:
        kept = await store.kept_key(uow, key)
        if kept is None or kept.fingerprint != fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request; use a new one for a new request.")
        if kept.status is None or kept.answer is None:
            if kept.resource_id is None:
                raise StillRunning("The first request with this Idempotency-Key is not answered yet; repeat it soon.")
            return kept.resource_id
        body = self._ring.open(kept.answer, self._context(key))
        return _response(Answer(None, kept.status), body, {"Idempotent-Replayed": "true"})

    def _context(self, key: str) -> str:
        return f"{self.actor.organization_id}|idempotency_keys|{self.actor.id}|{key}"


def page_of(
    page: Page[M], view: Callable[[M], T], into: Callable[[list[T], str | None], msgspec.Struct]
) -> msgspec.Struct:
    """Show a page: its items' views and the cursor of the next one."""
    return into([view(item) for item in page.items], page.next_cursor)


def _etag(body: bytes) -> str:
    """Give the strong ETag of a representation."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _listed(etags: str | None) -> list[str]:
    # Clients and proxies that compress weaken what they were given; the bytes below are the same.
    return [one.strip().removeprefix("W/") for one in etags.split(",")] if etags else []


def _response(answer: Answer, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Response[Any]:
    content = answer.encoded() if body is None else body
    if answer.status == 204:
        return Response(None, status_code=204, headers=dict(headers or {}))
    media_type = PROBLEM_JSON if answer.status >= 400 else answer.media_type
    named = {"ETag": _etag(content), **(headers or {})} if answer.status < 400 else dict(headers or {})
    return Response(content, status_code=answer.status, media_type=media_type, headers=named)
