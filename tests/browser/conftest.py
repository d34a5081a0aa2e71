"""A browser on this machine that tells what it loads and what it complains of."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        await started.close()


class Watching:
    """A page, every address that it asked for, and every complaint of the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def loaded_only_from(self, base_url: str) -> bool:
        """Nothing came from the internet, and the policy refused nothing."""
        return all(url.startswith((base_url, "data:", "blob:")) for url in self.asked) and self.complaints == []


@pytest.fixture
async def watching(browser: Browser) -> AsyncIterator[Watching]:
    context = await browser.new_context(viewport={"width": 1280, "height": 860})
    yield Watching(await context.new_page())
    await context.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots go: TEMULA_SHOTS, or the test's own folder."""
    folder = Path(os.environ.get("TEMULA_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
