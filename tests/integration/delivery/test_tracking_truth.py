"""Tracking truth: machines are named, nobody is tracked who did not agree, and old links live as long as their key."""

import asyncio
import base64
import email
import re
from contextlib import asynccontextmanager
from email import policy

import httpx
import pytest
from common.clock import SYSTEM_CLOCK
from common.contracts.email import EmailClickedV1, EmailOpenedV1, EmailUnsubscribedV1
from common.link_tokens import HIDDEN_LINK, TokenKeys
from common.testing.deliver import deliver, outbox_events
from content.compile import compile_mail
from content.model import MailSource, Tracking
from delivery.api.tracking import Tracking as Tracker
from delivery.use_cases.composing import Composer
from delivery.use_cases.group_commit import GroupCommit

from tests.fixtures.sending import HTML, KEYS, MAIN, PUBLIC_URL, Campaign, by_topic, mailing, until
from tests.integration.delivery.test_tracking import BROWSER, token, tracker

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"


@pytest.mark.parametrize(
    ("agent", "rule", "via"),
    [
        (BROWSER["user-agent"], None, None),
        (GMAIL, None, "gmail"),
        (YAHOO, None, "yahoo"),
        ("Mozilla/5.0", "apple_privacy", None),
        ("Mozilla/5.0 BarracudaCentral", "scanner", None),
        ("Mozilla/5.0 (compatible; Google-Safety; bot)", "bot", None),
        ("python-httpx/0.28", None, None),
        ("", None, None),
    ],
    ids=["a browser", "Gmail", "Yahoo", "Apple", "a gateway", "a bot", "a program", "nothing"],
)
async def test_opens_say_who_asked(delivery_db, workspace_id, agent, rule, via):
    async with tracker(delivery_db.api) as client:
        await client.get(f"/o/{KEYS.sign(token(workspace_id))}.gif", headers={"user-agent": agent})
    (opened,) = by_topic(await outbox_events(delivery_db.worker), EmailOpenedV1)
    assert (opened.data.machine_rule, opened.data.machine, opened.data.via) == (rule, rule is not None, via)


async def test_a_person_with_apples_words_still_clicks(delivery_db, workspace_id):
    link = f"/c/{KEYS.sign(token(workspace_id, purpose='c', url='https://shop.test/'))}"
    async with tracker(delivery_db.api) as client:
        await client.get(link, headers={"user-agent": "Mozilla/5.0"})
    (clicked,) = by_topic(await outbox_events(delivery_db.worker), EmailClickedV1)
    assert not clicked.data.machine


def wanting(workspace_id, *, opens, clicks):
    compiled = compile_mail(
        MailSource.model_validate({"subject": "Hi", "html": HTML, "language": "en"}),
        tracking=Tracking(opens=opens, clicks=clicks),
    )
    return Campaign(workspace_id, content=compiled.payload(), tracking={"opens": opens, "clicks": clicks})


async def sent_to(delivery_db, smtp_server, campaign, tracking):
    campaign.recipients = [campaign.person("ann@example.com", tracking=tracking)]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=1)
    message = email.message_from_bytes(smtp_server.taken[-1].body, policy=policy.default)
    html, text = (message.get_body((kind,)).get_content() for kind in ("html", "plain"))
    return html, text


@pytest.mark.parametrize(("consent", "opens", "clicks"), [
    ("individual", True, True), ("individual", True, False), ("individual", False, True), ("individual", False, False),
    ("none", True, True), ("none", False, True),
])  # fmt: skip
async def test_only_who_agreed_is_tracked_and_only_as_the_campaign_wishes(
    delivery_db, workspace_id, smtp_server, consent, opens, clicks
):
    html, text = await sent_to(delivery_db, smtp_server, wanting(workspace_id, opens=opens, clicks=clicks), consent)
    agreed = consent == "individual"
    places = set(re.findall(r"http://mail\.test/(\w)/", html))
    assert places == {"u", "b"} | ({"o"} if agreed and opens else set()) | ({"c", "h"} if agreed and clicks else set())
    assert ("http://mail.test/c/" in text) == (agreed and clicks)
    assert "/h/" not in text
    assert ("https://shop.test/offer" in html) == (not (agreed and clicks))
    assert html.count("<img") == (agreed and opens)


async def test_the_hidden_link_is_seen_by_nobody_and_names_who_follows_it(delivery_db, workspace_id, smtp_server):
    html, _ = await sent_to(delivery_db, smtp_server, wanting(workspace_id, opens=True, clicks=True), "individual")
    (anchor,) = re.findall(r"<a [^>]*http://mail\.test/h/[^>]*>(?:</a>)?", html)
    assert anchor.endswith("></a>"), "no words"
    assert "display:none" in anchor
    assert 'aria-hidden="true"' in anchor
    assert 'tabindex="-1"' in anchor
    path = re.search(r"http://mail\.test(/h/[\w-]+)", anchor)[1]
    async with tracker(delivery_db.api) as client:
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.content) == (204, b"")
            assert "location" not in answer.headers
        assert (await client.post(path)).status_code == 404
        for other in "ocub":
            assert (await client.get(path.replace("/h/", f"/{other}/"))).status_code == 404
    hits = by_topic(await outbox_events(delivery_db.worker), EmailClickedV1)
    assert [(one.data.machine, one.data.machine_rule, one.data.link, one.data.url) for one in hits] == [
        (True, "hidden_link", HIDDEN_LINK, "")
    ] * 2


@asynccontextmanager
async def with_keys(db, keys):
    kept = GroupCommit(db)
    task = asyncio.create_task(kept.run())
    app = Tracker(db, keys, kept, Composer(db, keys, PUBLIC_URL, SYSTEM_CLOCK))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=PUBLIC_URL) as client:
        yield client
    kept.close()
    await asyncio.wait_for(task, 5)


async def test_links_live_as_long_as_their_key_is_in_the_ring(delivery_db, workspace_id):
    old, new, newest = (base64.b64encode(bytes([n] * 32)) for n in (1, 2, 3))
    rings = [{"a": old}, {"b": new, "a": old}, {"c": newest, "b": new}]
    signed = [TokenKeys(ring) for ring in rings]
    kinds = {"o": "", "c": "https://shop.test/", "u": "", "h": ""}
    expected = {"o": 200, "c": 302, "u": 200, "h": 204}
    # By which ring it was signed → which ring still opens it. The current key signs; of three, the first is gone.
    for reader, opens in ((0, {0}), (1, {0, 1}), (2, {1, 2})):
        async with with_keys(delivery_db.api, signed[reader]) as client:
            for writer, keys in enumerate(signed):
                for place, url in kinds.items():
                    text = keys.sign(token(workspace_id, purpose=place, url=url))
                    answer = await client.get(f"/{place}/{text}")
                    assert answer.status_code == (expected[place] if writer in opens else 404), (reader, writer, place)


async def test_an_unsubscribe_signed_by_the_old_key_counts_and_by_a_removed_one_does_not(delivery_db, workspace_id):
    made = TokenKeys({"a": b"1" * 32}).sign(token(workspace_id, purpose="u"))
    async with with_keys(delivery_db.api, TokenKeys({"b": b"2" * 32})) as client:
        assert (await client.post(f"/u/{made}", data={"List-Unsubscribe": "One-Click"})).status_code == 404
    assert await outbox_events(delivery_db.worker) == []
    async with with_keys(delivery_db.api, TokenKeys({"b": b"2" * 32, "a": b"1" * 32})) as client:
        assert (await client.post(f"/u/{made}", data={"List-Unsubscribe": "One-Click"})).status_code == 200
    assert len(by_topic(await outbox_events(delivery_db.worker), EmailUnsubscribedV1)) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("agent", [BROWSER["user-agent"], "Mozilla/5.0 BarracudaCentral"])
async def test_nothing_but_a_post_unsubscribes(delivery_db, workspace_id, method, agent):
    path = f"/u/{KEYS.sign(token(workspace_id, purpose='u'))}"
    async with tracker(delivery_db.api) as client:
        for query in ("", "?List-Unsubscribe=One-Click", "?scope=all"):
            answer = await client.request(method, path + query, headers={"user-agent": agent})
            assert answer.status_code in {200, 404}
            assert "location" not in answer.headers
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from blocks") == 0
    assert await outbox_events(delivery_db.worker) == []


async def test_one_click_needs_no_login_no_cookie_and_is_not_redirected(delivery_db, workspace_id):
    path = f"/u/{KEYS.sign(token(workspace_id, purpose='u'))}"
    async with tracker(delivery_db.api) as client:
        answer = await client.post(
            path, data={"List-Unsubscribe": "One-Click"}, headers={"user-agent": "Google-Mail-Unsubscribe bot"}
        )
    assert answer.status_code == 200
    assert not {"set-cookie", "location", "www-authenticate"} & set(answer.headers)
    (left,) = by_topic(await outbox_events(delivery_db.worker), EmailUnsubscribedV1)
    assert left.data.method == "one_click"
