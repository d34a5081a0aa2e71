"""The receiver of the page on receiving well, as it stands there, with messages that come twice, late, or never."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from temula.outbound.webhooks.model import signed_headers

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "receive-webhooks-well.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def message(number: int) -> dict[str, Any]:
    at = f"2026-11-23T10:15:{number:02d}.000Z"
    told = {"event_id": f"msg_{number}", "event_type": "event.updated", "timestamp": at, "organization_id": "org_1"}
    return {**told, "team_id": None, "data": {"n": number}}


class Page:
    """What the page's code has defined, and what it has acted on."""

    def __init__(self) -> None:
        (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
        self.names: dict[str, Any] = {}
        exec(compile(code, "page", "exec"), self.names)  # noqa: S102 - our own page
        self.acted: list[int] = []

    def receive(self, number: int, secret: str = SECRET) -> int:
        body = json.dumps(message(number)).encode()
        answer: int = self.names["receive"](signed_headers(f"msg_{number}", body, datetime.now(UTC), [secret]), body)
        return answer

    def work(self) -> None:
        self.names["work"](lambda told: self.acted.append(told["data"]["n"]))


def test_each_message_is_acted_on_once_in_the_order_of_time() -> None:
    """Twice, late and forged: kept once, done once, oldest first."""
    page = Page()
    assert [page.receive(number) for number in (3, 1, 3, 2, 1)] == [204] * 5
    assert page.receive(4, "whsec_" + "A" * 32) == 401
    page.work()
    assert page.acted == [1, 2, 3]
    assert page.receive(2) == 204
    page.work()
    assert page.acted == [1, 2, 3]


def test_work_that_fails_is_done_later() -> None:
    """What an act has not finished is not marked as done."""
    page = Page()
    page.receive(1)

    def fail(_told: object) -> None:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError, match="away"):
        page.names["work"](fail)
    page.work()
    assert page.acted == [1]


def test_what_was_missed_is_pulled_once() -> None:
    """Page after page from the cursor that was kept, among them what had come before."""
    page, asked = Page(), []
    page.receive(2)
    pages = {"a": ([1, 2], "b", True), "b": ([], "c", True), "c": ([3], "d", False)}

    def get(path: str) -> dict[str, Any]:
        asked.append(path)
        (cursor,) = re.findall(r"after=(\w+)", path)
        numbers, following, more = pages[cursor]
        return {"data": [message(number) for number in numbers], "next_cursor": following, "has_more": more}

    assert page.names["reconcile"](get, "a") == "d"
    assert len(asked) == 3
    page.work()
    assert page.acted == [1, 2, 3]
