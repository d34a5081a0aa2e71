"""The commands about webhook endpoints, run as an operator runs them."""

import json
from typing import Any

from temula.kernel.tenancy import system
from temula.outbound.webhooks import service
from temula.outbound.webhooks.model import Endpoint
from tests.operations.cli.conftest import Operator

URL = "http://127.0.0.1:9/hooks"
NOBODY = "org_00000000000000000000000001"


async def stored(operator: Operator, endpoint_id: str) -> Endpoint:
    actor = system("test", operator.sandbox.organization_id)
    async with operator.house.database.reading(actor) as uow:
        return await service.get(uow, endpoint_id)


async def test_an_endpoint_at_the_command_line(operator: Operator) -> None:
    """Made with every option, shown without its secrets, changed, paused, tested, rotated, deleted."""
    here = ("--organization", operator.sandbox.organization_id)
    condition: dict[str, Any] = {"path": "data.amount", "gte": 100}
    partner = {"reference": "caterer", "types": ["check_in.*"], "event_ids": None}
    made = await operator.run(
        "webhooks", "endpoints", "create", URL, *here, "--type", "check_in.*", "--type", "payment.*", "--filter",
        json.dumps(condition), "--payload", "thin", "--mask", "data.location", "--header", "X-Key: hidden-key",
        "--rate-limit", "5", "--max-concurrency", "2", "--order-by", "ticket", "--metadata", "crm=7",
        "--partner", json.dumps(partner), "--description", "The CRM",
    )  # fmt: skip
    endpoint_id, secret = (line.split()[-1] for line in made.strip().splitlines())
    endpoint = await stored(operator, endpoint_id)
    assert json.loads(endpoint.filter or b"") == condition
    assert (endpoint.types, endpoint.payload, endpoint.mask) == (["check_in.*", "payment.*"], "thin", ["data.location"])
    assert (endpoint.rate_limit, endpoint.max_concurrency, endpoint.order_by) == (5, 2, "ticket")
    assert (endpoint.partner_id, endpoint.granted_types) == ("caterer", ["check_in.*"])
    shown = await operator.run("webhooks", "endpoints", "show", endpoint_id, *here)
    assert "X-Key: ********" in shown
    assert "hidden-key" not in shown
    assert secret not in shown

    await operator.run("webhooks", "endpoints", "update", endpoint_id, *here, "--filter", "null", "--rate-limit", "0")
    changed = await stored(operator, endpoint_id)
    assert (changed.filter, changed.rate_limit, changed.max_concurrency) == (None, None, 2)
    said = await operator.run("webhooks", "endpoints", "test", endpoint_id, "check_in.completed", *here)
    assert said.startswith("dlv_")
    await operator.run("webhooks", "endpoints", "pause", endpoint_id, *here, "--reason", "It moves")
    assert "It moves" in await operator.run("webhooks", "endpoints", "show", endpoint_id, *here)
    assert endpoint_id in await operator.run("webhooks", "endpoints", "list", *here, "--state", "paused")
    assert endpoint_id not in await operator.run("webhooks", "endpoints", "list", *here, "--state", "enabled")
    await operator.run("webhooks", "endpoints", "resume", endpoint_id, *here)
    assert (await stored(operator, endpoint_id)).state == "enabled"
    rotated = await operator.run("webhooks", "endpoints", "rotate", endpoint_id, *here, "--overlap-hours", "0")
    assert rotated.startswith("whsec_")
    assert (await stored(operator, endpoint_id)).previous_secret is None
    dry = await operator.run("webhooks", "endpoints", "delete", endpoint_id, *here, "--dry-run")
    assert dry == f"would delete {endpoint_id}, with 1 message waiting for it\n"
    assert endpoint_id in await operator.run("webhooks", "endpoints", "list", *here)
    await operator.run("webhooks", "endpoints", "delete", endpoint_id, *here)
    assert "There are none" in await operator.run("webhooks", "endpoints", "list", *here)


async def test_what_cannot_be_is_one_line(operator: Operator) -> None:
    """Text that is no JSON, headers that may not be set, an endpoint that there is not: exit code 2 and why."""
    here = ("--organization", operator.sandbox.organization_id)
    for words, why in (
        (("create", URL, "--filter", "{"), "not the JSON"),
        (("create", URL, "--partner", '{"types": []}'), "not the JSON"),
        (("create", URL, "--header", "Host: x"), "not yours to set"), (("create", URL, "--header", "x"), "Name: value"),
        (("create", URL, "--metadata", "x"), "name=value"), (("pause", "whe_x"), "no webhook endpoint"),
        (("update", "whe_x"), "Nothing is to be changed"), (("list", "--state", "off"), "enabled, paused, disabled"),
        (("delete", "whe_x", "--dry-run"), "no webhook endpoint"),
    ):  # fmt: skip
        said = await operator.run("webhooks", "endpoints", *words, *here, fails=True)
        assert why in said
        assert len(said.strip().splitlines()) == 1


async def test_the_sandbox_that_runs_here_need_not_be_named(operator: Operator) -> None:
    """Its organization is in quickstart.json; where there is none, or no such organization, a line says what to do."""
    said = await operator.run("webhooks", "endpoints", "list", fails=True)
    assert "--organization org_..." in said
    assert len(said.strip().splitlines()) == 1
    for words in (("list",), ("show", "whe_x")):
        said = await operator.run("webhooks", "endpoints", *words, "--organization", NOBODY, fails=True)
        assert said == f"temula: There is no organization {NOBODY}.\n"
    operator.sandbox_runs()
    made = await operator.run("webhooks", "endpoints", "create", URL)
    assert made.split()[1] in await operator.run("webhooks", "endpoints", "list")
