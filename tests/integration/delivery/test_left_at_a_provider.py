"""People who leave, and mail that is refused, at a mail provider: as each of them tells it."""

import json
from email import message_from_bytes

import pytest
from common.contracts.addresses import address_hash
from common.contracts.email import EmailBouncedV1, EmailUnsubscribedV1
from common.testing.deliver import deliver
from delivery.db.blocks import consent_subject

from tests.fixtures.providers import MAILGUN_KEY, TOPIC, SendGrid, mailgun, postmark, sendgrid_event, sns
from tests.fixtures.returning import PATHS, blocked, return_path, told
from tests.fixtures.sending import MAIN, PEPPER_BYTES, Campaign, mailing, until
from tests.fixtures.sending import rows as in_ledger
from tests.integration.delivery.test_provider_events import amazon, endpoint, http, rows

__all__ = ["amazon", "http", "rows"]


def left_at(provider, row, **more):
    """A person leaves at their provider's page, as each of them tells it."""
    if provider == "sendgrid":
        return sendgrid_event(
            row, more.pop("event", "unsubscribe"), **{"smtp-id": None, "barid": return_path(row), **more}
        )
    if provider == "mailgun":
        return mailgun(row, "unsubscribed", severity=None, **more)
    if provider == "postmark":
        about = {"Origin": "Recipient", "SuppressSending": True, "SuppressionReason": "ManualSuppression", "ID": None}
        about |= {"Email": None, "Recipient": row["email"]}
        return postmark(row, RecordType="SubscriptionChange", **{**about, **more})
    wanted = more.pop("wanted", {"unsubscribeAll": True, "topicSubscriptionStatus": []})
    return {
        "eventType": "Subscription",
        "subscription": {"source": "UnsubscribeHeader", "newTopicPreferences": wanted, "timestamp": "t"},
        "mail": {"messageId": "0100", "source": return_path(row), "destination": [row["email"]], **more},
    }


async def tell(http, amazon, sendgrid, paths, provider, event):
    if provider == "sendgrid":
        body, headers = sendgrid.signed([event])
        return await http.post(paths[provider], content=body, headers=headers)
    if provider == "postmark":
        return await http.post(paths[provider], json=event, auth=("barid", "long enough"))
    return await http.post(paths[provider], json=sns(amazon, event) if provider == "ses" else event)


@pytest.fixture
async def telling(http, amazon):
    sendgrid = SendGrid()
    paths = {
        "sendgrid": await endpoint(http, provider="sendgrid", verification_key=sendgrid.written),
        "mailgun": await endpoint(http, provider="mailgun", signing_key=MAILGUN_KEY),
        "postmark": await endpoint(http, provider="postmark", username="barid", password="long enough"),
        "ses": await endpoint(http, provider="ses", topic_arn=TOPIC),
    }

    async def told_by(provider, event):
        answer = await tell(http, amazon, sendgrid, paths, provider, event)
        assert answer.status_code == 200, answer.text

    return told_by


@pytest.mark.parametrize("provider", ["sendgrid", "mailgun", "postmark", "ses"])
async def test_who_leaves_at_the_provider_s_page_has_left_before_the_answer_and_once(
    telling, http, delivery_db, rows, provider
):
    event = left_at(provider, rows[1])
    await telling(provider, event)
    assert await blocked(delivery_db) == {rows[1]["address_hash"]: "unsubscribed"}
    await telling(provider, event)
    (left,) = await told(delivery_db, EmailUnsubscribedV1)
    assert (left.message_id, left.contact_id, left.scope, left.method) == (
        rows[1]["id"], rows[1]["contact_id"], "all", "page",
    )  # fmt: skip
    listed = (await http.get("/v1/bounces", params={"kind": "unsubscribed"})).json()["items"]
    assert [one["message_id"] for one in listed] == [str(rows[1]["id"])]


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("sendgrid", {"event": "group_unsubscribe", "asm_group_id": 10}),
        ("ses", {"wanted": {"unsubscribeAll": False, "topicSubscriptionStatus": [
            {"topicName": "news", "subscriptionStatus": "OptOut"}]}}),
    ],
)  # fmt: skip
async def test_who_leaves_a_group_there_leaves_what_the_mail_was_for(telling, delivery_db, rows, provider, more):
    await telling(provider, left_at(provider, rows[0], **more))
    (left,) = await told(delivery_db, EmailUnsubscribedV1)
    assert left.scope == "purpose"
    assert await blocked(delivery_db) == {consent_subject(left.contact_id, left.purpose_id): "unsubscribed"}


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("sendgrid", {"event": "group_resubscribe"}),
        ("postmark", {"SuppressSending": False, "SuppressionReason": None}),
        ("ses", {"wanted": {"unsubscribeAll": False, "topicSubscriptionStatus": [
            {"topicName": "news", "subscriptionStatus": "OptIn"}]}}),
    ],
)  # fmt: skip
async def test_who_comes_back_there_changes_nothing_here(telling, delivery_db, rows, provider, more):
    await telling(provider, left_at(provider, rows[0], **more))
    assert await blocked(delivery_db) == {}
    assert await told(delivery_db, EmailUnsubscribedV1) == []


async def test_what_ses_will_not_send_bounces_for_its_content_and_blocks_nobody(telling, delivery_db, rows):
    mail = {"messageId": "0101", "source": return_path(rows[2]), "destination": [rows[2]["email"]]}
    await telling("ses", {"eventType": "Reject", "reject": {"reason": "Bad content"}, "mail": mail})
    (bounce,) = await told(delivery_db, EmailBouncedV1)
    assert (bounce.bounce, bounce.reason, bounce.message_id) == ("soft", "content", rows[2]["id"])
    assert await blocked(delivery_db) == {}


async def test_events_without_an_id_do_not_shadow_one_another(telling, delivery_db, rows):
    for row in rows[:3]:
        event = sendgrid_event(row, "bounce", reason="550 5.1.1 no such user", status="5.1.1", type="bounce")
        del event["sg_event_id"], event["sg_message_id"]
        await telling("sendgrid", event)
        await telling("sendgrid", event)
    assert len(await told(delivery_db, EmailBouncedV1)) == 3


async def test_mail_of_a_workspace_with_sendgrid_names_itself_for_its_events(
    telling, delivery_db, workspace_id, smtp_server, rows
):
    campaign = Campaign(workspace_id, n=1)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, return_paths=PATHS):
        await until(delivery_db, campaign.id, sent=1)
    (mail,) = smtp_server.taken
    headers = message_from_bytes(mail.body)
    assert headers["X-PM-Metadata-barid"]
    named = json.loads(headers["X-SMTPAPI"])["unique_args"]
    (row,) = await in_ledger(delivery_db, campaign.id)
    await telling("sendgrid", sendgrid_event(row, "unsubscribe", **{"smtp-id": None, **named}))
    (left,) = await told(delivery_db, EmailUnsubscribedV1)
    assert left.message_id == row["id"]


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("ses", {"destination": ["somebody.else@example.com"]}),
        ("mailgun", {"recipient": "Somebody.Else@example.com"}),
        ("sendgrid", {"email": "somebody.else@example.com", "barid": "", "smtp-id": "<x@y>"}),
        ("postmark", {"Recipient": "somebody.else@example.com", "Metadata": {}, "MessageID": "x"}),
    ],
)
async def test_who_leaves_by_no_mail_of_ours_is_blocked_by_their_address(
    telling, delivery_db, workspace_id, rows, provider, more
):
    event = left_at(provider, rows[0], **more)
    await telling(provider, event)
    await telling(provider, event)
    hash_ = address_hash(PEPPER_BYTES, workspace_id, "somebody.else@example.com")
    assert await blocked(delivery_db) == {bytes.fromhex(hash_): "unsubscribed"}
    (left,) = await told(delivery_db, EmailUnsubscribedV1)
    assert (left.address_hash, left.contact_id, left.scope) == (hash_, None, "all")


async def test_an_old_mail_is_as_good_to_leave_by(telling, delivery_db, rows):
    async with delivery_db.worker.transaction() as tx:
        await tx.execute("update messages set sent_at = now() - interval '2 years'")
    await telling("sendgrid", left_at("sendgrid", rows[3]))
    assert await blocked(delivery_db) == {rows[3]["address_hash"]: "unsubscribed"}


@pytest.mark.parametrize(("why", "reason"), [("HardBounce", "bad_mailbox"), ("SpamComplaint", "complaint")])
async def test_what_postmark_suppresses_is_blocked_for_the_same_reason(telling, delivery_db, rows, why, reason):
    await telling("postmark", left_at("postmark", rows[0], SuppressionReason=why))
    assert await blocked(delivery_db) == {rows[0]["address_hash"]: reason}


async def test_an_event_too_deep_to_name_is_refused(http, rows):
    path = await endpoint(http, provider="postmark", username="barid", password="long enough")
    event = left_at("postmark", rows[0], MessageID="")
    for _ in range(400):
        event["Metadata"] = {"deeper": event["Metadata"]}
    answer = await http.post(path, json=event, auth=("barid", "long enough"))
    assert answer.status_code in (400, 422), answer.text
