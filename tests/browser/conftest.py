"""The public pages in a real browser: Debian's Chromium, driven by Playwright."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from common.clock import SYSTEM_CLOCK
from common.web.server import listen, serve_on
from delivery.api.tracking import Tracking
from delivery.use_cases.composing import Composer
from delivery.use_cases.group_commit import GroupCommit
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.fixtures.sending import KEYS
from tests.integration.contacts import service
from tests.integration.contacts.public import Shop, open_shop

CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
# Where pictures of every page go, for somebody to look at: PAGE_PICTURES=folder.
PICTURES = os.environ.get("PAGE_PICTURES")
WIDTHS = (320, 1280)


def chromium() -> str:
    """The browser, or a failure: without it nothing is known of the pages."""
    found = shutil.which("chromium")
    if found is None:
        pytest.fail("Chromium is needed: apt-get install chromium fonts-dejavu-core", pytrace=False)
    return found


@dataclass
class Visitor:
    """Somebody with a browser. `wrong` collects what the browser complains of."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        """A status is an answer, not an error of the page."""
        if "the server responded with a status of 4" not in text:
            self.wrong.append(text)

    async def judge(self, name: str, language: str) -> None:
        """What every page must be: the right way round, nothing cut off, readable, labelled."""
        direction = "ltr" if language == "en" else "rtl"
        for width in WIDTHS:
            await self.page.set_viewport_size({"width": width, "height": 900})
            found = await self.page.evaluate(CHECKS)
            assert found.pop("lang") == language, name
            assert found.pop("dir") == direction, name
            assert found == {"overflow": [], "contrast": [], "unlabelled": [], "small": []}, f"{name} at {width}"
            if PICTURES:
                file = Path(PICTURES) / f"{name}-{language}-{width}.png"
                await self.page.screenshot(path=file, full_page=True)
        assert self.wrong == []

    async def tab_to(self, selector: str) -> None:
        """Reach something by keyboard alone, and see that it is marked."""
        for _ in range(40):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate("s => document.activeElement.matches(s)", selector):
                width = await self.page.evaluate(
                    "() => parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
                )
                assert width >= 2, f"{selector} has the focus and does not show it"
                return
        raise AssertionError(f"{selector} cannot be reached by keyboard")


@dataclass
class Site:
    """Contacts and the tracker on ports of their own, with a workspace in them."""

    shop: Shop
    contacts_url: str
    tracker_url: str
    api: httpx.AsyncClient


@asynccontextmanager
async def serving(app: Any, port: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(serve_on(app, port, stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest_asyncio.fixture
async def site(contacts_db, delivery_db, service_env, keys, workspace_id) -> AsyncIterator[Site]:
    ports = [listen("127.0.0.1", 0, "test") for _ in range(2)]
    contacts_url, tracker_url = (f"http://127.0.0.1:{port.getsockname()[1]}" for port in ports)
    service_env("contacts", contacts_db, BARID_PUBLIC_URL=contacts_url)
    kept = GroupCommit(delivery_db.api)
    composer = Composer(delivery_db.api, KEYS, tracker_url, SYSTEM_CLOCK)
    tracker = Tracking(delivery_db.api, KEYS, kept, composer)
    shop = await open_shop(contacts_db.worker, workspace_id)
    headers = {"Authorization": f"Bearer {keys.token(workspace_id)}"}
    async with (
        serving(service.app(), ports[0]),
        serving(tracker, ports[1]),
        httpx.AsyncClient(base_url=contacts_url, headers=headers, timeout=30) as api,
    ):
        yield Site(shop, contacts_url, tracker_url, api)


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield opened
        finally:
            await opened.close()


@asynccontextmanager
async def visiting(browser: Browser, language: str) -> AsyncIterator[Visitor]:
    """A visitor without JavaScript, who prefers a language."""
    context: BrowserContext = await browser.new_context(locale=language, java_script_enabled=False)
    try:
        page = await context.new_page()
        visitor = Visitor(page)
        page.on("console", lambda said: visitor.complain(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: visitor.wrong.append(str(error)))
        yield visitor
    finally:
        await context.close()
