"""A sending domain that is becoming known: caps that pace, and lose nothing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from common.contracts.campaigns import MessageRequestedV1, RequestedRecipient, Sender
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from delivery.main import create_app
from delivery.settings import Settings
from delivery.use_cases.upkeep import sweep

from tests.fixtures.sending import (
    MAIN,
    Campaign,
    content,
    eventually,
    mailing,
    rows,
    statuses,
    until,
)


class Calendar:
    """A clock that is set by hand."""

    def __init__(self):
        self.at = datetime.now(UTC)

    def now(self):
        return self.at

    def monotonic(self):
        return self.at.timestamp()


async def warming(db, workspace_id, *daily, domain="shop.test"):
    async with db.worker.connection() as connection:
        await connection.execute(
            "insert into domains (workspace_id, id, name, checks) values ($1, $2, $3, '[]')",
            workspace_id,
            new_id(),
            domain,
        )
        await connection.execute(
            """
            insert into warmups (workspace_id, domain, daily, day) values ($1, $2, $3, (now() at time zone 'UTC')::date)
            """,
            workspace_id,
            domain,
            list(daily),
        )


async def plan(db):
    async with db.worker.connection() as connection:
        return await connection.fetchrow("select number, used, day from warmups")


async def settled(db, campaign_id, sent, waiting):
    """These counts, and still so after mailers had their chance."""
    await until(db, campaign_id, sent=sent, pending=waiting)
    await asyncio.sleep(0.8)
    assert await statuses(db, campaign_id) == {"sent": sent, "pending": waiting}


async def test_a_plan_paces_over_days_and_loses_nothing(delivery_db, workspace_id, smtp_server):
    await warming(delivery_db, workspace_id, 10, 25)
    campaign, calendar = Campaign(workspace_id, n=80), Calendar()
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with (
        mailing(delivery_db, smtp_server.port, name="one", calendar=calendar),
        mailing(delivery_db, smtp_server.port, name="two", calendar=calendar),
    ):
        await settled(delivery_db, campaign.id, 10, 70)
        calendar.at += timedelta(days=1)
        await settled(delivery_db, campaign.id, 35, 45)
        calendar.at += timedelta(days=1)
        await until(delivery_db, campaign.id, sent=80)
    assert sorted(smtp_server.recipients) == sorted(one.email for one in campaign.recipients)


async def test_a_day_without_mail_is_not_counted_and_a_clock_that_goes_back_gives_nothing(
    delivery_db, workspace_id, smtp_server
):
    await warming(delivery_db, workspace_id, 5, 50)
    campaign, calendar = Campaign(workspace_id, n=40), Calendar()
    await deliver(delivery_db.worker, MAIN, campaign.events())
    calendar.at += timedelta(days=7)
    async with mailing(delivery_db, smtp_server.port, calendar=calendar):
        await settled(delivery_db, campaign.id, 5, 35)
        calendar.at -= timedelta(days=3)
        await asyncio.sleep(0.6)
        assert await statuses(delivery_db, campaign.id) == {"sent": 5, "pending": 35}
    assert (await plan(delivery_db))["number"] == 1


async def test_what_was_not_sent_does_not_count(delivery_db, workspace_id, smtp_server):
    await warming(delivery_db, workspace_id, 10)
    campaign = Campaign(workspace_id, n=10)
    deferred = campaign.recipients[0].email
    smtp_server.replies[deferred] = {"rcpt": "451 4.3.0 later"}
    smtp_server.times[deferred] = 2
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=10)
        await eventually(lambda: used(delivery_db, 10))


async def used(db, n):
    return (await plan(db))["used"] == n


async def test_other_domains_and_workspaces_do_not_wait(delivery_db, workspace_id, smtp_server):
    await warming(delivery_db, workspace_id, 1)
    sender = Sender(name="Other", email="news@other.test")
    warm, other, foreign = (
        Campaign(workspace_id, n=5),
        Campaign(workspace_id, n=20, sender=sender),
        Campaign(new_id(), n=20),
    )
    for one in (warm, other, foreign):
        await deliver(delivery_db.worker, MAIN, one.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, other.id, sent=20)
        await until(delivery_db, foreign.id, sent=20)
        await settled(delivery_db, warm.id, 1, 4)


async def test_single_mail_counts_and_goes(delivery_db, workspace_id, smtp_server):
    await warming(delivery_db, workspace_id, 3)
    campaign = Campaign(workspace_id, n=5)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    request = MessageRequestedV1(
        request_id=new_id(), kind="single", sender=Sender(name="Shop", email="news@Shop.test"), content=content(),
        recipients=[RequestedRecipient(email=f"single{i}@example.com", language="en", fields={}) for i in range(2)],
    )  # fmt: skip
    async with mailing(delivery_db, smtp_server.port):
        await settled(delivery_db, campaign.id, 3, 2)
        await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, request)])
        await until(delivery_db, request.request_id, sent=2)
        await eventually(lambda: used(delivery_db, 5))


async def test_the_72_hours_stand_still_while_a_message_waits_for_a_day(delivery_db, workspace_id, smtp_server):
    await warming(delivery_db, workspace_id, 3, 3)
    campaign, calendar = Campaign(workspace_id, n=4), Calendar()
    await deliver(delivery_db.worker, MAIN, campaign.events())
    # The one that is taken first, so that the day has room for it.
    refused = min(await rows(delivery_db, campaign.id), key=lambda row: row["id"])["email"]
    smtp_server.replies[refused] = {"rcpt": "451 4.3.0 later"}
    async with mailing(delivery_db, smtp_server.port, calendar=calendar):
        await until(delivery_db, campaign.id, sent=3, deferred=1)
    async with delivery_db.worker.connection() as connection:
        await connection.execute(
            """
            update messages set first_4xx_at = now() - interval '80 hours', next_at = now() - interval '79 hours'
             where status = 'deferred'
            """
        )
    await sweep(delivery_db.worker)
    assert await statuses(delivery_db, campaign.id) == {"sent": 3, "deferred": 1}, "it waited for us"
    calendar.at += timedelta(days=1)
    async with mailing(delivery_db, smtp_server.port, calendar=calendar):
        await eventually(lambda: len([line for line in smtp_server.commands if refused in line]) > 1)
        await until(delivery_db, campaign.id, sent=3, deferred=1)
    await sweep(delivery_db.worker)
    assert await statuses(delivery_db, campaign.id) == {"sent": 3, "deferred": 1}, "one hour of trying is not 72"


@pytest.fixture
def client(delivery_db, workspace_id, service_env, keys, http_client):
    service_env("delivery", delivery_db)
    return http_client(create_app(Settings()), keys.token(workspace_id, "manager"))


async def test_the_plan_over_http(client, delivery_db, workspace_id, smtp_server):
    async with client as http:
        domain = (await http.post("/v1/domains", json={"domain": "shop.test"})).json()
        path = f"/v1/domains/{domain['id']}/warmup"
        assert (await http.get(path)).json()["code"] == "warmup_not_found"
        usual = (await http.put(path, json={})).json()
        assert (usual["daily"][0], len(usual["daily"]), usual["cap"]) == (50, 28, 50)
        made = await http.put(path, json={"daily": [4, 8]})
        assert made.json() == (await http.get(path)).json()
        stale = await http.put(path, json={"daily": [9]}, headers={"If-Match": '"r1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale")
        campaign = Campaign(workspace_id, n=6)
        await deliver(delivery_db.worker, MAIN, campaign.events())
        async with mailing(delivery_db, smtp_server.port):
            await until(delivery_db, campaign.id, sent=4, pending=2)
            shown = (await http.get(path)).json()
            assert (shown["day"], shown["cap"], shown["used"], shown["left"], shown["done"]) == (1, 4, 4, 0, False)
            assert shown["waits_until"].endswith("T00:00:00Z")
            more = (await http.put(path, json={"daily": [5, 8]})).json()
            assert (more["used"], more["left"], more["waits_until"]) == (4, 1, None)
            await until(delivery_db, campaign.id, sent=5, pending=1)
            assert (await http.delete(path)).status_code == 204
            await until(delivery_db, campaign.id, sent=6)
        assert (await http.delete(path)).status_code == 404
        await http.put(path, json={"daily": [5]})
        assert (await http.delete(f"/v1/domains/{domain['id']}")).status_code == 204
        assert await plan(delivery_db) is None, "a plan goes with its domain"


@pytest.mark.parametrize(
    "daily", [[], [0], [-1], ["many"], [1] * 401, 7], ids=["none", "0", "-1", "word", "401", "number"]
)
async def test_no_plan_that_cannot_be(client, daily):
    async with client as http:
        domain = (await http.post("/v1/domains", json={"domain": "shop.test"})).json()
        refused = await http.put(f"/v1/domains/{domain['id']}/warmup", json={"daily": daily})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["where"].startswith("/daily")
