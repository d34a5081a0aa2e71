"""The OpenAPI document: valid, complete, and what the running API does is what it says."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from temula.domain.organizations import service as organizations
from tests.harness.house import Running, Tenant

# How long the fuzzer may look; TEMULA_FUZZ_SECONDS lets a nightly run look longer.
SECONDS = int(os.environ.get("TEMULA_FUZZ_SECONDS", "45"))


@pytest.fixture
async def document(tenant: Tenant) -> dict[str, Any]:
    return (await tenant.api.call("GET", "//api/openapi.json")).json


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_it_is_valid(document: dict[str, Any]) -> None:
    """By the official schema of OpenAPI 3.1."""
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


async def test_every_operation_is_documented(document: dict[str, Any]) -> None:
    """A short name, a sentence, a stable id, a tag, security, and every refusal as a problem."""
    found = operations(document)
    assert len({one["operationId"] for _, _, one in found}) == len(found) > 40
    assert document["security"] == [{"token": []}]
    tags = {one["name"] for one in document["tags"]}
    for method, path, one in found:
        assert one["summary"], path
        assert one["description"], path
        assert re.fullmatch(r"[a-z][A-Za-z]+", one["operationId"])
        assert set(one["tags"]) <= tags
        refusals = {status for status in one["responses"] if status >= "400"}
        assert {"401", "403", "422", "429", "500", "503"} <= refusals
        writes = method != "get" and one["operationId"] != "validate"
        assert ("409" in refusals) is writes
        for status in refusals:
            (kind,) = one["responses"][status]["content"]
            assert kind == "application/problem+json"
        names = {parameter["name"] for parameter in one["parameters"]}
        assert ("Idempotency-Key" in names) is writes
        shown = one["responses"][min(one["responses"])]["headers"]
        assert {"RateLimit", "RateLimit-Policy", "X-Request-Id"} <= shown.keys()


async def test_inputs_are_closed_and_examples_work(temula: Running, tenant: Tenant, document: dict[str, Any]) -> None:
    """No input takes unknown fields, and what the document gives as an example can be sent."""
    schemas = document["components"]["schemas"]
    bodies = [one["requestBody"]["content"]["application/json"]["schema"]["$ref"] for _, _, one in operations(document)
              if "requestBody" in one]  # fmt: skip
    for reference in bodies:
        assert schemas[reference.rpartition("/")[2]]["additionalProperties"] is False
    example = {name: schema["examples"][0] for name, schema in schemas.items() if "examples" in schema}
    event = await tenant.api.post("/events", example["EventCreate"])
    await tenant.api.patch(f"/events/{event['id']}", example["EventPatch"])
    await tenant.api.post(f"/events/{event['id']}/ticket-types", example["TicketTypeCreate"])
    await tenant.api.post("/webhooks/endpoints", example["EndpointCreate"])


async def test_the_document_is_complete(temula: Running, document: dict[str, Any]) -> None:
    """What is served under `/api/v1` is in the document, and nothing else is."""
    from temula.operations.app import build  # the routes themselves are the other side of the comparison

    served = {
        (method.lower(), re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in build(temula.house).routes
        for method in getattr(route, "methods", ())
        if route.path.startswith("/api/v1") and method != "OPTIONS"
    }
    assert served == {(method, path) for method, path, _ in operations(document)}


async def test_the_pages_need_no_internet(tenant: Tenant) -> None:
    """Neither page nor script nor style loads anything from elsewhere; the browser is forbidden to."""
    for path in ("//api/docs", "//api/problems"):
        page = await tenant.api.call("GET", path)
        html = page.body.decode()
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http" not in page.headers["content-security-policy"]
        for asset in re.findall(r'(?:src|href)="(/[^"]+)"', html):
            found = await tenant.api.call("GET", "/" + asset)
            assert found.status == 200
            if asset.endswith(".css"):
                assert not re.search(rb"url\([\"']?(?:https?:)?//|@import", found.body)


async def test_the_running_api_does_what_the_document_says(temula: Running, tenant: Tenant, tmp_path: Path) -> None:
    """A fuzzer that knows the document finds no 5xx, no status, type or body that it does not tell of."""
    await temula.sale(tenant)
    async with temula.house.database.unit(tenant.actor) as uow:
        await organizations.change(uow, msgspec.structs.replace(tenant.organization, requests_per_minute=1_000_000))
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{temula.base_url}/api/openapi.json",
        "-H", f"Authorization: Bearer {tenant.token}", "--checks", checks, "--max-time", str(SECONDS),
        "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--no-color",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()[-6000:]
