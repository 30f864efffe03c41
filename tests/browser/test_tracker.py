"""The page tracker in a real browser: from a page with the script to the contact's timeline."""

import asyncio
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from common.clock import SYSTEM_CLOCK
from common.link_tokens import LinkToken
from common.web.server import listen
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.browser.conftest import serving
from tests.fixtures.sending import KEYS

pytestmark = pytest.mark.timeout(180)

PAGE = """<!doctype html><html lang="en"><head><title>Caravan {path}</title>
<script>window.barid = window.barid || function () {{ (barid.q = barid.q || []).push(arguments); }};</script>
{snippet}</head><body><a href="/prices.pdf?for=sara">Prices</a></body></html>"""


@asynccontextmanager
async def shop(site, browser):
    """A web site of its own origin, registered, and a visitor's browser."""
    port = listen("127.0.0.1", 0, "test")
    url = f"http://127.0.0.1:{port.getsockname()[1]}"
    made = (await site.api.post("/v1/sites", json={"name": "Caravan", "origins": [url]})).json()

    async def show(request):
        return HTMLResponse(PAGE.format(path=request.url.path, snippet=made["snippet"]))

    async def file(_request):
        return Response(b"", 204)

    app = Starlette(routes=[Route("/prices.pdf", file), Route("/{path:path}", show)])
    async with serving(app, port):
        context = await browser.new_context()
        try:
            page = await context.new_page()
            sent = []
            page.on("request", lambda one: sent.append(one.url) if "/t/" in one.url and one.method == "POST" else None)
            yield url, page, sent
        finally:
            await context.close()


async def timeline(site, contact_id, *wanted):
    """Type → properties, once all of these are there: what a page sends as it goes comes when it comes."""
    found = {}
    for _ in range(200):
        items = (await site.api.get(f"/v1/contacts/{contact_id}/timeline")).json()["items"]
        found = {one["type"]: one["data"]["properties"] for one in items if "properties" in one["data"]}
        if set(wanted) <= set(found):
            break
        await asyncio.sleep(0.05)
    assert set(found) == set(wanted)
    return found


async def test_a_page_tells_after_consent_and_a_mails_link_joins_what_was_before(site, browser):
    consent = {"status": "subscribed", "source": "expo", "tracking": "individual"}
    made = await site.api.post("/v1/contacts", json={"email": "sara@x.example", "consent": consent})
    contact_id = made.json()["id"]
    async with shop(site, browser) as (url, page, sent):
        await page.goto(f"{url}/one?utm_source=letter&token=secret")
        assert (sent, await page.evaluate("localStorage.length + document.cookie.length")) == ([], 0)
        async with page.expect_response(lambda one: "/t/" in one.url and one.request.method == "POST") as told:
            await page.evaluate("barid('consent', true)")
        assert (await told.value).status == 200
        await page.wait_for_timeout(1100)  # it is read for a second
        await page.click("a")

        proof = KEYS.sign(LinkToken("i", "campaign", site.shop.id, site.shop.id, UUID(contact_id), None, None,
                                    SYSTEM_CLOCK.now()))  # fmt: skip
        await page.goto(f"{url}/two?a=1&barid={proof}&b=2")
        found = await timeline(site, contact_id, "session.started", "page.viewed", "page.read", "file.downloaded")
        assert await page.evaluate("location.search + document.cookie") == "?a=1&b=2"
        assert found["session.started"]["utm_source"] == "letter"
        assert found["file.downloaded"]["url"] == f"{url}/prices.pdf"
        assert (found["page.read"]["path"], found["page.read"]["seconds"]) == ("/one", found["page.read"]["seconds"])
        assert 1 <= found["page.read"]["seconds"] <= 60
        assert "secret" not in str(found)

        await page.evaluate("barid('consent', false)")
        assert await page.evaluate("localStorage.length") == 0


async def test_nothing_is_stored_or_sent_for_who_asks_not_to_be_tracked(site, browser):
    async with shop(site, browser) as (url, page, sent):
        await page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
        await page.goto(f"{url}/one")
        await page.evaluate("barid('consent', true)")
        await page.click("a")
        await page.wait_for_timeout(500)  # longer than the script waits before it sends
        assert (sent, await page.evaluate("localStorage.length + document.cookie.length")) == ([], 0)
