"""The package against the vectors that it shares with the other languages."""

import base64
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from temula_webhooks import NotGenuine, Webhook, parse

VECTORS = json.loads((Path(__file__).parents[2] / "vectors.json").read_text())["vectors"]
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no less").decode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_is_judged_as_it_should_be(vector: dict[str, Any]) -> None:
    """What is genuine passes; of what is not the reason is told."""
    webhook = Webhook(*vector["secrets"], now=lambda: vector["now"])
    check = webhook.check if vector["style"] == "standard" else webhook.check_body
    body = base64.b64decode(vector["body"])
    if vector["expect"] == "ok":
        check(body, vector["headers"])
    else:
        with pytest.raises(NotGenuine) as caught:
            check(body, vector["headers"])
        assert caught.value.code == vector["expect"]


def test_a_genuine_request_gives_its_message() -> None:
    """Both ways give a typed message, whose time is aware."""
    for style, verb in (("standard", "verify"), ("temula", "verify_body")):
        vector = next(one for one in VECTORS if one["style"] == style and one["name"].endswith("a genuine request"))
        webhook = Webhook(*vector["secrets"], now=lambda vector=vector: vector["now"])
        message = getattr(webhook, verb)(base64.b64decode(vector["body"]), vector["headers"])
        assert message.event_type == "check_in.completed"
        assert message.timestamp == datetime(2026, 11, 23, 10, 15, 0, 123000, tzinfo=timezone.utc)
        assert message.data["location"] == "Gate A"
        assert message.team_id is None


@pytest.mark.parametrize("style", ["standard", "temula"])
def test_what_is_signed_but_says_nothing_is_refused(style: str) -> None:
    """A body that is genuine and no message is told apart from a forged one."""
    vector = next(one for one in VECTORS if one["style"] == style and one["name"].endswith("an empty body"))
    webhook = Webhook(*vector["secrets"], now=lambda: vector["now"])
    verify = webhook.verify if style == "standard" else webhook.verify_body
    with pytest.raises(NotGenuine) as caught:
        verify(base64.b64decode(vector["body"]), vector["headers"])
    assert caught.value.code == "bad_body"


GOOD = {"event_id": "msg_1", "event_type": "a.b", "timestamp": "2026-11-23T10:15:00Z", "organization_id": "org_1"}


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", "{", "[" * 100_000, *(json.dumps({**GOOD, **change}) for change in (
        {"event_id": 1}, {"timestamp": "soon"}, {"team_id": 3}, {"data": []}, {"event_type": None},
    ))],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_message_cannot_be_parsed(body: str) -> None:
    """One kind of error, whatever is wrong with it."""
    with pytest.raises(ValueError, match="body"):
        parse(body)
    assert parse(json.dumps(GOOD)).data == {}


@pytest.mark.parametrize("secrets", [(), ("",), ("whsec_",), ("whsec_not base64",), (SECRET, "whsec_=")])
def test_a_bad_secret_is_told_at_once(secrets: tuple[str, ...]) -> None:
    """Not at the first request."""
    with pytest.raises(ValueError, match="secret"):
        Webhook(*secrets)


def test_the_system_clock_is_used_by_default() -> None:
    """A request that was genuine long ago is refused now."""
    vector = next(one for one in VECTORS if one["name"] == "standard: a genuine request")
    with pytest.raises(NotGenuine) as caught:
        Webhook(*vector["secrets"]).verify(base64.b64decode(vector["body"]), vector["headers"])
    assert caught.value.code in {"too_old", "too_new"}
