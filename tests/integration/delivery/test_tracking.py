"""The tracker: what each link does, and what it must never do."""

import asyncio
import email
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import policy

import httpx
import pytest
from common.clock import SYSTEM_CLOCK
from common.contracts.email import EmailClickedV1, EmailOpenedV1, EmailUnsubscribedV1
from common.db.pool import Database
from common.ids import new_id
from common.link_tokens import LinkToken
from common.testing.deliver import deliver, outbox_events
from delivery.api.tracking import Tracking
from delivery.use_cases.composing import Composer
from delivery.use_cases.group_commit import GroupCommit

from tests.fixtures.sending import KEYS, MAIN, PUBLIC_URL, Campaign, by_topic, mailing, rows, until

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}


@asynccontextmanager
async def tracker(db):
    kept = GroupCommit(db)
    task = asyncio.create_task(kept.run())
    app = Tracking(db, KEYS, kept, Composer(db, KEYS, PUBLIC_URL, SYSTEM_CLOCK))
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=PUBLIC_URL, headers=BROWSER
        ) as client:
            yield client
    finally:
        kept.close()
        await asyncio.wait([task], timeout=2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def token(workspace_id, **more):
    given = {
        "purpose": "o", "kind": "campaign", "workspace_id": workspace_id, "message_id": new_id(),
        "contact_id": new_id(),
        "campaign_id": new_id(), "purpose_id": new_id(), "sent_at": datetime(2026, 11, 1, tzinfo=UTC), **more,
    }  # fmt: skip
    return LinkToken(**given)


async def test_an_open_is_durable_before_the_answer(delivery_db, workspace_id):
    made = token(workspace_id)
    async with tracker(delivery_db.api) as client:
        answer = await client.get(f"/o/{KEYS.sign(made)}.gif")
        (opened,) = await outbox_events(delivery_db.worker)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert opened.workspace_id == workspace_id
    assert opened.data == EmailOpenedV1(
        message_id=made.message_id, kind="campaign", contact_id=made.contact_id, campaign_id=made.campaign_id,
        purpose_id=made.purpose_id, sent_at=made.sent_at,
    )  # fmt: skip


async def test_a_click_goes_to_the_signed_target_only(delivery_db, workspace_id):
    target = "https://shop.test/عرض?a=1&b=%20x#top"
    made = token(workspace_id, purpose="c", link=3, url=target)
    async with tracker(delivery_db.api) as client:
        answer = await client.get(f"/c/{KEYS.sign(made)}?url=https://evil.test")
        (clicked,) = by_topic(await outbox_events(delivery_db.worker), EmailClickedV1)
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://shop.test/%D8%B9%D8%B1%D8%B6?a=1&b=%20x#top"
    assert (clicked.data.link, clicked.data.url) == (3, target)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.test", "data:text/html,x", ""])
async def test_only_web_addresses_are_targets(delivery_db, workspace_id, url):
    async with tracker(delivery_db.api) as client:
        answer = await client.get(f"/c/{KEYS.sign(token(workspace_id, purpose='c', url=url))}")
    assert answer.status_code == 404
    assert await outbox_events(delivery_db.worker) == []


async def test_head_and_scanners_are_machines(delivery_db, workspace_id):
    async with tracker(delivery_db.api) as client:
        link = f"/c/{KEYS.sign(token(workspace_id, purpose='c', url='https://shop.test/'))}"
        assert (await client.head(link)).status_code == 302
        await client.get(link, headers={"user-agent": "Mozilla/5.0 BarracudaCentral"})
        await client.get(link, headers={"sec-purpose": "prefetch"})
        await client.get(link)
        clicks = by_topic(await outbox_events(delivery_db.worker), EmailClickedV1)
    assert [one.data.machine_rule for one in clicks] == ["head", "scanner", "prefetch", None]
    assert [one.data.machine for one in clicks] == [True, True, True, False]


async def test_bad_and_unknown_tokens_get_the_same_answer(delivery_db, workspace_id):
    good = KEYS.sign(token(workspace_id))
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    async with tracker(delivery_db.api) as client:
        answers = [
            await client.get(path)
            for path in (f"/o/{flipped}.gif", "/o/x.gif", f"/c/{good}", "/u/zzz", f"/b/{good}", "/nothing", "/o/")
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert await outbox_events(delivery_db.worker) == []


@pytest.mark.parametrize(
    ("language", "direction"), [("en-GB,en;q=0.9", "ltr"), ("ar-EG,en;q=0.8", "rtl"), ("fa;q=0.9,en;q=0.5", "rtl")]
)
async def test_get_asks_and_changes_nothing(delivery_db, workspace_id, language, direction):
    link = f"/u/{KEYS.sign(token(workspace_id, purpose='u'))}"
    async with tracker(delivery_db.api) as client:
        answer = await client.get(link, headers={"accept-language": language})
        head = await client.head(link)
    assert answer.status_code == head.status_code == 200
    assert f'lang="{language[:2]}" dir="{direction}"' in answer.text
    assert '<form method="post">' in answer.text
    assert "set-cookie" not in answer.headers
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from blocks") == 0
    assert await outbox_events(delivery_db.worker) == []


async def test_one_click_blocks_and_tells_before_the_answer(delivery_db, workspace_id):
    made = token(workspace_id, purpose="u")
    async with tracker(delivery_db.api) as client:
        form = await client.post(f"/u/{KEYS.sign(made)}", data={"List-Unsubscribe": "One-Click"})
        multipart = await client.post(f"/u/{KEYS.sign(made)}", files={"List-Unsubscribe": (None, "One-Click")})
    assert form.status_code == multipart.status_code == 200
    assert not form.history
    async with delivery_db.worker.connection() as connection:
        (block,) = await connection.fetch("select * from blocks")
    assert block["subject"] == made.contact_id.bytes + made.purpose_id.bytes
    told = by_topic(await outbox_events(delivery_db.worker), EmailUnsubscribedV1)
    assert {one.data.block_id for one in told} == {block["own_id"]}
    assert {(one.data.method, one.data.scope) for one in told} == {("one_click", "purpose")}


async def test_the_page_offers_everything(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    (row,) = await rows(delivery_db, campaign.id)
    made = token(
        workspace_id, purpose="u", message_id=row["id"], contact_id=row["contact_id"], purpose_id=campaign.purpose_id
    )
    async with tracker(delivery_db.api) as client:
        answer = await client.post(f"/u/{KEYS.sign(made)}", data={"scope": "all"})
    assert answer.status_code == 200
    (told,) = by_topic(await outbox_events(delivery_db.worker), EmailUnsubscribedV1)
    assert (told.data.method, told.data.scope) == ("page", "all")
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, suppressed=1)
    assert smtp_server.taken == []


async def test_the_links_in_a_real_mail_work(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person("ann@example.com", tracking="individual")]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=1)
    message = email.message_from_bytes(smtp_server.taken[0].body, policy=policy.default)
    body = message.get_body(("html",)).get_content()
    assert "ann@example.com" not in "".join(re.findall(r"http://mail\.test/\S+", body))
    pixel, click, view, leave = (
        re.search(rf"http://mail\.test(/{place}/[^\s\"<>]+)", body).group(1) for place in "ocbu"
    )
    async with tracker(delivery_db.api) as client:
        assert (await client.get(pixel)).status_code == 200
        assert (await client.get(click)).headers["location"].startswith("https://shop.test/offer?x=1")
        page = await client.get(view)
        assert "Hello" in page.text
        assert "/o/" not in page.text
        assert "sandbox" in page.headers["content-security-policy"]
        assert (await client.post(leave, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    events = [event.data for event in await outbox_events(delivery_db.worker)]
    (row,) = await rows(delivery_db, campaign.id)
    for kind in (EmailOpenedV1, EmailClickedV1, EmailUnsubscribedV1):
        (one,) = [event for event in events if type(event) is kind]
        assert (one.message_id, one.contact_id, one.campaign_id) == (row["id"], row["contact_id"], campaign.id)


async def test_without_a_database_opens_are_answered_and_unsubscribes_are_not(delivery_db, workspace_id):
    away = await Database.open("postgresql://nobody@127.0.0.1:1/none", name="away")
    async with tracker(away) as client:
        opened = await client.get(f"/o/{KEYS.sign(token(workspace_id))}.gif")
        left = await client.post(f"/u/{KEYS.sign(token(workspace_id, purpose='u'))}", data={"scope": "purpose"})
    await away.close()
    assert opened.status_code == 200
    assert left.status_code == 503
    assert left.headers["retry-after"]


async def test_events_that_waited_are_committed_later(delivery_db, workspace_id):
    kept = GroupCommit(delivery_db.api)
    from common.outbox.writer import Outgoing

    event = Outgoing(workspace_id, EmailOpenedV1(message_id=new_id(), kind="campaign"))
    assert await kept.durable(event) is False, "nobody commits yet"
    task = asyncio.create_task(kept.run())
    kept.close()
    await asyncio.wait_for(task, 5)
    assert [one.id for one in await outbox_events(delivery_db.worker)] == [event.id]


async def test_a_full_buffer_loses_and_says_so(workspace_id, delivery_db):
    from common.metrics import TRACKER_LOST
    from common.outbox.writer import Outgoing

    kept = GroupCommit(delivery_db.api, most_waiting=1)
    before = TRACKER_LOST.labels("EmailOpenedV1")._value.get()
    for _ in range(2):
        await kept.durable(Outgoing(workspace_id, EmailOpenedV1(message_id=new_id(), kind="campaign")))
    assert TRACKER_LOST.labels("EmailOpenedV1")._value.get() == before + 1
