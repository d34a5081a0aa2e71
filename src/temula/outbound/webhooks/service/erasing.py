"""Use case of erasing: what names a person goes from messages, from the log, and from its archives."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial

import msgspec

from temula.kernel.database import Database
from temula.kernel.erasing import Eraser
from temula.kernel.tenancy import Actor
from temula.outbound.webhooks import store
from temula.outbound.webhooks.model import STALE_TOPIC, STORED_CAP, TOPIC
from temula.outbound.webhooks.model.archive import Manifest, message_of, rewritten
from temula.outbound.webhooks.service.archives import Archives, bounds

PAGE = 500
# What is stored of an answer ends about here if there was more of it.
LONG = STORED_CAP - 1024
# A message that was loaded before is sent, answered and recorded within this time.
UNDER_WAY = 60.0
RECENT = timedelta(days=1)

Told = Callable[[str, int, int], None]


class Erased(msgspec.Struct):
    """How many facts and attempts named the person, and how many attempts of each archived day."""

    facts: int = 0
    attempts: int = 0
    archived: dict[date, int] = msgspec.field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether there was anything."""
        return bool(self.facts or self.attempts or self.archived)


class Erasing:
    """Erases for one organization, in steps; `dry` only counts. `told` hears what, of how many, and how far it is.

    It can be interrupted anywhere and run again: what is erased is not found any more.
    """

    def __init__(
        self, database: Database, archives: Archives, actor: Actor, eraser: Eraser, *, dry: bool, told: Told
    ) -> None:
        self._database = database
        self._archives = archives
        self._actor = actor
        self._eraser = eraser
        self._dry = dry
        self._told = told
        self._about: set[str] = set()
        self.erased = Erased()

    async def all(self) -> Erased:
        """Go through everything; give what was found. The caller is alone with the archives."""
        await self._facts()
        await self._ring()
        await self._attempts(datetime(1, 1, 1, tzinfo=UTC))
        await self._archived()
        return self.erased

    async def again(self) -> Erased:
        """Go through what may have been recorded since, of messages that were on their way."""
        await self._ring()
        await self._attempts(self._database.clock.now() - RECENT)
        return self.erased

    async def _ring(self) -> None:
        """Let those who send forget what they remember of messages."""
        if self.erased.facts and not self._dry:
            async with self._database.crossing("a person was erased from messages") as uow:
                uow.ring(STALE_TOPIC)
                uow.ring(TOPIC)

    async def _facts(self) -> None:
        async with self._database.reading(self._actor) as uow:
            total = await store.count_facts(uow)
        after, done = None, 0
        while True:
            async with self._database.reading(self._actor) as uow:
                page = await store.page_of_facts(uow, after, PAGE)
            if not page:
                return
            changed = []
            for fact in page:
                if about := self._eraser.is_about(fact.data):
                    self._about.add(fact.id)
                data = self._eraser.json(fact.data, about=about)
                if data != fact.data:
                    changed.append((fact, data))
            if changed and not self._dry:
                async with self._database.crossing("erasing a person from messages") as uow:
                    for fact, data in changed:
                        await store.erase_fact(uow, self._actor.organization_id, fact, data)
            self.erased.facts += len(changed)
            after, done = page[-1], done + len(page)
            self._told("messages", total, done)

    async def _attempts(self, since: datetime) -> None:
        now = self._database.clock.now()
        async with self._database.crossing("finding the log's days to erase in") as uow:
            days = [day for day in await store.days(uow, now.date() + timedelta(days=2)) if day >= since.date()]
        for n, day in enumerate(days, 1):
            await self._day(day)
            self._told("days of the log", len(days), n)

    async def _day(self, day: date) -> None:
        begin, end = bounds(day)
        after = (begin, "")
        while True:
            async with self._database.unit(self._actor) as uow:
                page = await store.page_of_attempts(uow, after, end, PAGE)
                changed = [one for one in map(self._attempt, page) if one is not None]
                if changed and not self._dry:
                    await store.erase_attempts(uow, changed)
            self.erased.attempts += len(changed)
            if len(page) < PAGE:
                return
            after = (page[-1].at, page[-1].id)

    def _attempt(self, one: store.Answered) -> store.Answered | None:
        about = one.message_id in self._about
        changed = store.Answered(
            one.at, one.id, one.message_id,
            one.request_body and self._body(one.request_body, about=about),
            one.response_headers and self._eraser.text(one.response_headers, about=about),
            one.response_body and self._body(one.response_body, about=about),
        )  # fmt: skip
        return None if changed == one else changed

    def _body(self, body: bytes, *, about: bool) -> bytes:
        return self._eraser.text(body, about=about, cut=len(body) >= LONG)

    async def _archived(self) -> None:
        if not self._dry:
            await self._archives.tidy(self._actor.organization_id)
        manifests = await self._archives.listed(self._actor.organization_id)
        for n, manifest in enumerate(manifests, 1):
            found = await self._count(manifest)
            if found:
                self.erased.archived[manifest.day] = found
                if not self._dry:
                    await self._archives.rewrite(manifest, self._line, self._database.clock.now())
            self._told("archived days", len(manifests), n)

    async def _count(self, manifest: Manifest) -> int:
        return sum([self._line(one) != one async for lines in self._archives.lines(manifest) for one in lines])

    def _line(self, line: bytes) -> bytes:
        about = message_of(line) in self._about
        return rewritten(line, partial(self._eraser.json, about=about), partial(self._body, about=about))
