"""Form, double opt-in, preference centre and unsubscribe, in three languages, without JavaScript."""

import asyncio
import re
from datetime import UTC, datetime

import pytest
from common.ids import new_id
from common.link_tokens import LinkToken
from common.testing.deliver import outbox_events

from tests.browser.conftest import visiting
from tests.fixtures.sending import KEYS
from tests.integration.contacts.public import WORDINGS, asked, link

LANGUAGES = ("en", "ar", "fa")
EMAIL = "sara.a-rather-long-name-that-needs-room@a-rather-long-domain-name.example.com"
LABELS = {
    "first_name": {"en": "First name", "ar": "الاسم الأول", "fa": "نام"},
    "attributes.city": {"en": "City", "ar": "المدينة", "fa": "شهر"},
    "country": {"en": "Country", "ar": "البلد", "fa": "کشور"},
}
TEXTS = {
    "en": {"title": "A letter from Caravan", "intro": "News of the silk road, once a month.\nNo advertisements."},
    "ar": {"title": "رسالة من كارافان", "intro": "أخبار طريق الحرير مرة في الشهر.\nبلا إعلانات."},
    "fa": {"title": "نامه‌ای از کاروان", "intro": "خبرهای راه ابریشم، ماهی یک بار.\nبدون آگهی."},
}

pytestmark = pytest.mark.timeout(180)


async def make_form(site) -> str:
    await site.api.post("/v1/attributes", json={"name": "city", "type": "text"})
    fields = [{"name": name, "label": label} for name, label in LABELS.items()]
    fields[0]["required"] = True
    fields[2]["options"] = [{"value": "IR", "label": {"fa": "ایران"}}, {"value": "IQ", "label": {"ar": "العراق"}}]
    body = {
        "name": "Letter", "languages": list(LANGUAGES), "texts": TEXTS, "fields": fields,
        "sender_id": str(site.shop.sender_id), "ask_tracking": True,
    }  # fmt: skip
    made = await site.api.post("/v1/forms", json=body)
    assert made.status_code == 201, made.text
    return made.json()["url"]


async def contact(site) -> dict:
    (found,) = (await site.api.get("/v1/contacts", params={"email": EMAIL})).json()["items"]
    return (await site.api.get(f"/v1/contacts/{found['id']}")).json()


async def reasons(site, contact_id) -> dict[str, str]:
    found = (await site.api.get(f"/v1/contacts/{contact_id}/consents")).json()
    return {one["purpose"]: one["reason"] for one in found["purposes"]}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_signing_up_by_keyboard_and_confirming(site, browser, contacts_db, language):
    url = await make_form(site)
    async with visiting(browser, language) as visitor:
        page = visitor.page
        await page.goto(url)
        await visitor.judge("form", language)

        await visitor.tab_to("button")
        await asyncio.sleep(2.1)  # nobody fills a form in sooner
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        await visitor.judge("form-wrong", language)
        assert await page.locator("[aria-invalid=true]").count() == 2

        await page.goto(url)
        await visitor.tab_to("#f-email")
        await page.keyboard.type(EMAIL)
        await page.keyboard.press("Tab")
        await page.keyboard.type("Sara سارا")
        await page.keyboard.press("Tab")
        await page.keyboard.type("اصفهان")
        await visitor.tab_to("#tracking")
        await page.keyboard.press("Space")
        await asyncio.sleep(2.1)
        await visitor.tab_to("button")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=status]")
        await visitor.judge("form-thanks", language)

        (mail,) = await asked(contacts_db.worker)
        variant = mail.content["variants"][0]
        assert variant["language"] == language
        await page.goto("about:blank")  # mail is not under the policy of our pages
        await page.set_content(variant["html"]["segments"][0])
        await visitor.judge("mail", language)

        await page.goto(re.search(r"http://\S+/p/confirm/\S+", variant["text"]["segments"][0])[0])
        assert WORDINGS["newsletter"][language] in await page.locator("main").inner_text()
        await visitor.judge("confirm", language)
        assert (await contact(site))["consents"][0]["status"] == "pending"
        await visitor.tab_to("button")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=status]")
        await visitor.judge("confirmed", language)
    person = await contact(site)
    assert person["consents"][0]["status"] == "subscribed"
    assert (person["first_name"], person["tracking"]) == ("Sara سارا", "individual")
    assert person["attributes"] == {"city": "اصفهان"}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_choosing_pausing_and_leaving_by_keyboard(site, browser, language):
    consent = {"status": "subscribed", "source": "expo"}
    body = {"email": EMAIL, "language": language, "consent": consent}
    contact_id = (await site.api.post("/v1/contacts", json=body)).json()["id"]
    # The person's own language, whatever the browser prefers.
    async with visiting(browser, "de") as visitor:
        page = visitor.page
        await page.goto(f"{site.contacts_url}/p/{link('p', site.shop.id, contact_id)}")
        await visitor.judge("preferences", language)

        for key in WORDINGS:  # leave one, join the other
            await visitor.tab_to(f"[name=purpose][value='{site.shop.purpose(key)}']")
            await page.keyboard.press("Space")
        await visitor.tab_to("button[value=save]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=status]")
        assert await reasons(site, contact_id) == {"newsletter": "unsubscribed", "offers": "subscribed"}
        await visitor.judge("preferences-saved", language)

        await visitor.tab_to("[name=pause]")
        await page.keyboard.press("ArrowDown")
        await visitor.tab_to("button[value=save]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[name=pause][value=keep]")
        assert (await reasons(site, contact_id))["offers"] == "paused"
        await visitor.judge("preferences-paused", language)

        await visitor.tab_to("button[value=leave_all]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("button[value=leave_all]", state="detached")
        assert set((await reasons(site, contact_id)).values()) == {"suppressed"}
        await visitor.judge("preferences-left", language)

        await page.goto(f"{site.contacts_url}/p/nothing?lang={language}")
        await visitor.judge("preferences-missing", language)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_unsubscribing_by_keyboard(site, browser, delivery_db, language):
    token = LinkToken(
        "u", "campaign", site.shop.id, new_id(), new_id(), new_id(), site.shop.purpose(), datetime.now(UTC)
    )  # fmt: skip
    async with visiting(browser, language) as visitor:
        page = visitor.page
        await page.goto(f"{site.tracker_url}/u/{KEYS.sign(token)}")
        await visitor.judge("unsubscribe", language)
        assert await outbox_events(delivery_db.worker) == []
        await visitor.tab_to("button[value=purpose]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("form", state="detached")
        await visitor.judge("unsubscribed", language)
    (left,) = await outbox_events(delivery_db.worker)
    assert (left.data.method, left.data.scope) == ("page", "purpose")
