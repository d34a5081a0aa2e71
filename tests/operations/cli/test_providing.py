"""The commands about providers, run as an operator runs them: accounts added, changed and disabled, callbacks seen."""

import re

import pytest

from temula.domain.connections import service as connections
from tests.operations.cli.conftest import Operator

LIVE, SANDBOX, SIGNS = "sk_live_0123456789abcdef", "sk_test_0123456789abcdef", "whsec_0123456789"
PARKED = """
INSERT INTO callbacks (organization_id, id, connection_id, kind, provider, dedupe_key, headers, body, state, last_error,
    received_at) VALUES ($1, 'cbk_1', 'con_1', 'payments', 'stripe', 'evt_1', '{}', '{}', 'parked', 'UnknownObject: no',
    $2)
"""


async def test_an_organizations_account(operator: Operator) -> None:
    """An account is added, its key replaced at the same address, and taken out of use; no key is ever printed."""
    mine = ("--organization", operator.live.organization_id)
    said = await operator.run("connections", "add", "stripe", *mine, typed=f"{LIVE}\n{SIGNS}\n")
    assert re.search(r"https://tickets\.test/in/payments/stripe/live/[\w-]{32}\n", said)
    assert "checkout.session.completed" in said
    assert (await operator.used(operator.live))["secret_key"] == LIVE

    listed = await operator.run("connections", "list", *mine)
    (connection_id,) = re.findall(r"con_\w+", listed)
    assert "...cdef" in listed
    changed = await operator.run("connections", "change", connection_id, *mine, typed=f"rk_live_new_9876\n{SIGNS}\n")
    assert await operator.used(operator.live) == {"secret_key": "rk_live_new_9876", "webhook_secret": SIGNS}

    gone = await operator.run("connections", "disable", connection_id, *mine)
    with pytest.raises(connections.NoConnection):
        await operator.used(operator.live)
    assert not [secret for secret in (LIVE, SIGNS, "rk_live_new_9876") if secret in said + listed + changed + gone]


async def test_the_platforms_account(operator: Operator) -> None:
    """The platform's account serves those who are allowed to fall back to it, in its own mode, and no others."""
    for mode, key in (("live", LIVE), ("sandbox", SANDBOX)):
        add = ("connections", "add", "stripe", "--platform", "--mode", mode)
        assert f"/{mode}/" in await operator.run(*add, typed=f"{key}\n{SIGNS}\n")
    assert (await operator.used(operator.sandbox))["secret_key"] == SANDBOX
    with pytest.raises(connections.NoConnection):
        await operator.used(operator.live)
    allow = ("organizations", "change", operator.live.organization_id)
    assert "may use the platform's account" in await operator.run(*allow, "--platform-payments")
    assert (await operator.used(operator.live))["secret_key"] == LIVE
    assert "may not use" in await operator.run(*allow, "--plan", "free")
    with pytest.raises(connections.NoConnection):
        await operator.used(operator.live)
    assert len(set(re.findall(r"con_\w+", await operator.run("connections", "list", "--platform")))) == 2
    assert "0 broken" in await operator.run("audit", "verify")


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (("add", "stripe"), "", "Name whose account it is"),
        (("add", "stripe", "--platform"), "", "--mode live or --mode sandbox"),
        (("add", "paypal", "--platform", "--mode", "live"), "", "there is: stripe"),
        (("add", "stripe", "--platform", "--mode", "live"), f"{SANDBOX}\n{SIGNS}\n", "must begin with sk_live_"),
        (("disable", "con_nobody", "--platform"), "", "There is no connection con_nobody"),
        (("change", "con_nobody", "--platform"), "", "There is no connection con_nobody"),
    ],
)
async def test_refused(operator: Operator, words: tuple[str, ...], typed: str, says: str) -> None:
    """What cannot be is refused in one line, before or after a key was typed, and nothing is stored."""
    assert says in await operator.run("connections", *words, typed=typed, fails=True)
    assert "con_" not in await operator.run("connections", "list", "--platform")


async def test_an_organization_is_changed(operator: Operator) -> None:
    """An organization's plan and rate are changed, only what was asked for, and 0 gives back the plan's own rate."""
    change = ("organizations", "change", operator.live.organization_id)
    assert "plan pro, 5 requests a minute" in await operator.run(*change, "--requests-per-minute", "5")
    assert "plan starter, 5 requests" in await operator.run(*change, "--plan", "starter")
    assert "plan starter, 1000 requests" in await operator.run(*change, "--requests-per-minute", "0")
    assert "is not one of" in await operator.run(*change, "--plan", "gold", fails=True)


async def test_features_are_switched(operator: Operator) -> None:
    """A feature is switched on and off by its name; the others stay as they were."""
    change = ("organizations", "change", operator.live.organization_id)
    assert "features: polls, qa" in await operator.run(*change, "--feature", "qa", "--feature", "polls")
    assert "features: polls\n" in await operator.run(*change, "--without-feature", "qa")
    assert "A feature is named" in await operator.run(*change, "--feature", "Q and A", fails=True)
    assert "features: polls\n" in await operator.run(*change, "--plan", "starter")


async def test_tables_show_whole_ids(operator: Operator) -> None:
    """Ids can be copied out of a table on a narrow terminal too."""
    operator.environ["COLUMNS"] = "60"
    assert operator.live.organization_id in await operator.run("organizations", "list")


async def test_parked_callbacks(operator: Operator) -> None:
    """Parked callbacks are seen with the reason, and are processed once more when that is asked for."""
    database, mine = operator.house.database, operator.live.organization_id
    async with database.crossing("a test parks a callback") as uow:
        await uow.run(PARKED, mine, uow.now)
    listed = await operator.run("callbacks", "list")
    assert all(word in listed for word in ("cbk_1", "evt_1", "parked", "UnknownObject: no", mine))
    assert (await operator.run("callbacks", "retry", "cbk_2")).startswith("0 ")
    assert (await operator.run("callbacks", "retry")).startswith("1 ")
    assert "received" in await operator.run("callbacks", "list")
    async with database.crossing("a test looks at the jobs") as uow:
        assert (
            await uow.value("SELECT count(*) FROM jobs WHERE organization_id = $1 AND kind = 'callbacks.process'", mine)
            == 1
        )
