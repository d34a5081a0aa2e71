"""The pages in a real browser, which loads nothing from the internet and has nothing to complain of."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Watching
from tests.harness.house import Running, Tenant, until
from tests.harness.receiver import Receiver
from tests.outbound.console.test_console import PASSWORD, member

pytestmark = pytest.mark.browser


async def test_the_api_documentation_works_without_the_internet(
    temula: Running, watching: Watching, shots: Path
) -> None:
    """Every operation is listed with its description; one that is opened shows its answers and its example."""
    page = watching.page
    document = (await temula.api(None).call("GET", "//api/openapi.json")).json
    operations = sum(len(methods) for methods in document["paths"].values())
    await page.goto(f"{temula.base_url}/api/docs")
    await expect(page.locator(".opblock")).to_have_count(operations)
    await expect(page.get_by_text("Temula API").first).to_be_visible()
    await page.screenshot(path=shots / "api-docs.png")
    await page.locator("#operations-Events-createEvent").click()
    await expect(page.get_by_text("The event is a draft").first).to_be_visible()
    await expect(page.locator("#operations-Events-createEvent .response").first).to_be_visible()
    await page.screenshot(path=shots / "api-docs-operation.png")
    assert watching.loaded_only_from(temula.base_url), (watching.asked, watching.complaints)


async def test_problem_codes_are_a_page(temula: Running, watching: Watching, shots: Path) -> None:
    """The address in a problem leads to its row."""
    page = watching.page
    await page.goto(f"{temula.base_url}/api/problems#sold_out")
    await expect(page.locator("tr#sold_out")).to_be_in_viewport()
    await page.screenshot(path=shots / "problems.png")
    assert watching.loaded_only_from(temula.base_url), (watching.asked, watching.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_home_page_moves_with_what_happens(
    temula: Running, tenant: Tenant, hooks: Receiver, watching: Watching, shots: Path, scheme: str
) -> None:
    """Sign in, watch numbers and messages move without a reload, sign out in another window and be shown the way in."""
    page = watching.page
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    email = await member(temula, tenant)
    sale = await temula.sale(tenant, prices=(0,))
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url})
    await page.goto(temula.base_url)
    await page.screenshot(path=shots / f"sign-in-{scheme}.png")
    await page.get_by_label("Email address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#link")).to_have_text("live")
    await expect(page.locator("#registrations")).to_have_text("0")
    seats = [{"ticket_type_id": sale.types[0]["id"], "name": f"Guest {n}"} for n in range(3)]
    order = {"event_id": sale.event["id"], "buyer": {"name": "A", "email": "a@example.org"}, "attendees": seats}
    await tenant.api.post("/registrations", order)
    await expect(page.locator("#registrations")).to_have_text("1")

    async def issued() -> list:
        found = await tenant.api.every("/tickets")
        return found if len(found) == 3 else []

    for ticket in await until(issued):
        await tenant.api.post("/check-ins", {"ticket_id": ticket["id"], "checkpoint_id": sale.gate["id"]})
    await expect(page.locator("#checked_in")).to_have_text("3")
    await expect(page.locator("#latest .state.delivered")).to_have_count(10)
    await expect(page.locator("#deliveries")).to_have_text("10")
    await page.screenshot(path=shots / f"home-{scheme}.png")
    assert watching.loaded_only_from(temula.base_url), (watching.asked, watching.complaints)
    other = await page.context.new_page()
    await other.goto(temula.base_url)
    await other.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=15_000)


async def test_the_home_page_on_a_phone(
    temula: Running, tenant: Tenant, hooks: Receiver, watching: Watching, shots: Path
) -> None:
    """Nothing is wider than a phone, and an endpoint that was given up is told of."""
    page = watching.page
    await page.set_viewport_size({"width": 390, "height": 844})
    email = await member(temula, tenant)
    await page.goto(temula.base_url)
    await page.get_by_label("Email address").fill(email)
    await page.get_by_label("Password").fill("wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("Email address and password do not fit.")
    await page.get_by_label("Email address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#link")).to_have_text("live")
    await expect(page.locator("#notice")).to_be_hidden()
    hooks.answers = [410]
    await tenant.api.post("/webhooks/endpoints", {"url": hooks.url})
    await temula.sale(tenant)
    await expect(page.locator("#notice")).to_contain_text("1 webhook endpoint(s) disabled")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    await page.screenshot(path=shots / "home-phone.png")


async def test_a_disabled_endpoint_is_enabled_by_its_button(
    temula: Running, tenant: Tenant, hooks: Receiver, watching: Watching, shots: Path
) -> None:
    """The notice comes without a reload and runs nothing that somebody typed; the button sends what was kept."""
    page = watching.page
    hostile = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    email = await member(temula, tenant)
    await page.goto(temula.base_url)
    await page.get_by_label("Email address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#link")).to_have_text("live")
    await expect(page.locator("#notices_section")).to_be_hidden()
    hooks.answers = [410]
    asked = {"url": hooks.url, "types": ["event.published"], "description": hostile}
    endpoint = await tenant.api.post("/webhooks/endpoints", asked)
    await temula.sale(tenant)
    trouble = page.locator("#troubled article")
    await expect(trouble).to_contain_text("Disabled on")
    await expect(trouble).to_contain_text("1 message waits for it.")
    await expect(trouble.get_by_role("heading")).to_have_text(hostile)
    await expect(page.locator("#notices tr td").nth(1)).to_have_text(hostile)
    await page.screenshot(path=shots / "home-disabled-endpoint.png", full_page=True)
    assert await page.title() == tenant.organization.name
    await trouble.get_by_role("button", name="Enable again").click()
    await expect(trouble).to_have_count(0)
    await expect(page.locator("#notices .state")).to_have_text("enabled")
    await expect(page.locator("#latest .state.delivered")).to_have_count(1)
    assert (await tenant.api.get(f"/webhooks/endpoints/{endpoint['id']}"))["state"] == "enabled"
    assert [arrival.type for arrival in hooks.arrivals] == ["event.published"] * 2
    await page.screenshot(path=shots / "home-enabled-endpoint.png", full_page=True)
    assert watching.loaded_only_from(temula.base_url), (watching.asked, watching.complaints)
