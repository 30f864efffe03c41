"""POST /v1/messages: mail to named people, through the API and a real mailer."""

import email
from datetime import timedelta
from email import policy
from uuid import UUID

import pytest
from common.contracts.addresses import address_hash
from common.contracts.campaigns import MessageRequestedV1, RequestedRecipient, Sender, SenderChangedV1
from common.contracts.leads import LeadErasedV1, SuppressionChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from delivery.main import create_app
from delivery.settings import Settings

from tests.fixtures.sending import MAIN, PEPPER_BYTES, Campaign, content, mailing, rows, until

CONTENT = {
    "subject": "رسيد {{ attributes.order }}",
    "html": "<p>سلام {{ first_name }}</p>",
    "language": "fa",
}


@pytest.fixture
async def sender_id(delivery_db, workspace_id):
    sender = SenderChangedV1(
        sender_id=new_id(), name="فروشگاه", email="shop@shop.test", reply_to="help@shop.test", deleted=False, revision=1
    )
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, sender)])
    return sender.sender_id


@pytest.fixture
async def client(delivery_db, workspace_id, service_env, keys, http_client):
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as opened:
        yield opened


def request(sender_id, *to, **more):
    people = to or ({"email": "sara@example.com", "fields": {"first_name": "سارا", "attributes.order": "۴۲"}},)
    return {"sender_id": str(sender_id), "to": list(people), "content": CONTENT, **more}


async def test_it_arrives_filled_and_says_so(delivery_db, workspace_id, smtp_server, client, sender_id):
    asked = await client.post("/v1/messages", json=request(sender_id))
    assert asked.status_code == 202, asked.text
    (told,) = asked.json()["messages"]
    assert told["status"] == "pending"
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(asked.json()["id"]), sent=1)
    (taken,) = smtp_server.taken
    mail = email.message_from_bytes(taken.body, policy=policy.default)
    assert mail["Subject"].replace("\u2068", "").replace("\u2069", "") == "رسيد ۴۲"
    assert "سارا" in mail.get_body(("html",)).get_content()
    assert mail["From"].addresses[0].display_name == "فروشگاه"
    assert mail["Message-ID"] == f"<{told['id']}@shop.test>"
    assert mail["List-Unsubscribe"] is None, "a receipt is no list"
    item = (await client.get(f"/v1/messages/{told['id']}")).json()
    assert (item["kind"], item["status"], item["attempts"]) == ("single", "sent", 1)
    assert [(one["attempt"], one["status"], one["smtp"]["code"]) for one in item["history"]] == [(1, "sent", 250)]


@pytest.mark.parametrize(
    ("sender", "klass"),
    [("فروش@shop.test", "content"), ("a b@shop.test", "unsupported_address"), ("a@shop.test\r\nBcc: b@x.y", "content")],
)
async def test_a_sender_that_no_mail_can_have_fails_at_once_and_says_why(
    delivery_db, workspace_id, smtp_server, sender, klass
):
    request = MessageRequestedV1.model_construct(
        request_id=new_id(),
        kind="single",
        sender=Sender.model_construct(name="Shop", email=sender, reply_to=None),
        content=content(),
        recipients=[RequestedRecipient(email="ann@example.com", language="en", fields={})],
    )
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, request)])
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, request.request_id, failed=1)
    (row,) = await rows(delivery_db, request.request_id)
    assert row["class"] == klass
    assert row["smtp_text"]
    assert smtp_server.taken == []


async def test_its_history_tells_of_every_attempt(delivery_db, workspace_id, smtp_server, client, sender_id):
    smtp_server.replies["sara@example.com"] = {"rcpt": "450 4.2.1 try later"}
    smtp_server.times["sara@example.com"] = 2
    asked = (await client.post("/v1/messages", json=request(sender_id))).json()
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(asked["id"]), sent=1)
    item = (await client.get(f"/v1/messages/{asked['messages'][0]['id']}")).json()
    assert [(one["attempt"], one["status"], one["smtp"]["code"]) for one in item["history"]] == [
        (1, "deferred", 450), (2, "deferred", 450), (3, "sent", 250),
    ]  # fmt: skip
    assert "try later" in item["history"][0]["smtp"]["text"]


async def test_the_same_idempotency_key_sends_once(delivery_db, workspace_id, smtp_server, client, sender_id):
    body = request(sender_id)
    first = await client.post("/v1/messages", json=body, headers={"Idempotency-Key": "order-42"})
    again = await client.post("/v1/messages", json=body, headers={"Idempotency-Key": "order-42"})
    assert (again.status_code, again.json()) == (202, first.json())
    other = await client.post(
        "/v1/messages", json=request(sender_id, {"email": "b@example.com"}), headers={"Idempotency-Key": "order-42"}
    )
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(first.json()["id"]), sent=1)
    assert smtp_server.recipients == ["sara@example.com"]


async def test_a_suppressed_address_gets_none(delivery_db, workspace_id, smtp_server, client, sender_id):
    blocked = SuppressionChangedV1(
        suppression_id=new_id(),
        scope="address",
        hash=address_hash(PEPPER_BYTES, workspace_id, "sara@example.com"),
        active=True,
        reason="complaint",
        revision=1,
    )
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, blocked)])
    asked = (await client.post("/v1/messages", json=request(sender_id))).json()
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(asked["id"]), suppressed=1)
    assert smtp_server.recipients == []


async def test_it_goes_before_a_campaign_that_was_there_first(
    delivery_db, workspace_id, smtp_server, client, sender_id
):
    campaign = Campaign(workspace_id, n=300)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    asked = (await client.post("/v1/messages", json=request(sender_id))).json()
    async with mailing(delivery_db, smtp_server.port, window=3, connections=1):
        await until(delivery_db, UUID(asked["id"]), sent=1)
    assert "sara@example.com" in smtp_server.recipients[:4]


async def test_an_erased_person_leaves_no_address_behind(delivery_db, workspace_id, smtp_server, client, sender_id):
    smtp_server.replies["Sara@example.com"] = {"rcpt": "450 4.2.1 sara is away"}
    asked = (await client.post("/v1/messages", json=request(sender_id, {"email": "Sara@example.com"}))).json()
    other = (await client.post("/v1/messages", json=request(sender_id, {"email": "ali@example.com"}))).json()
    async with mailing(delivery_db, smtp_server.port, retry_first=timedelta(hours=1)):
        await until(delivery_db, UUID(asked["id"]), deferred=1)
        await until(delivery_db, UUID(other["id"]), sent=1)
    erased = LeadErasedV1(
        contact_id=new_id(),
        request_id=new_id(),
        address_hashes=[address_hash(PEPPER_BYTES, workspace_id, "sara@example.com")],
    )
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, erased)])
    item = (await client.get(f"/v1/messages/{asked['messages'][0]['id']}")).json()
    assert (item["status"], item["reason"], item["email"], item["history"]) == ("suppressed", "erased", None, [])
    assert (await client.get(f"/v1/messages/{other['messages'][0]['id']}")).json()["email"] == "ali@example.com"


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"to": [{"email": "a@example.com\r\nBcc: b@example.com"}]}, "invalid_recipient", "/to/0/email"),
        ({"to": [{"email": "good@example.com"}, {"email": "no address"}]}, "invalid_recipient", "/to/1/email"),
        ({"to": [{"email": "a@b@example.com"}]}, "invalid_recipient", "/to/0/email"),
        ({"content": {**CONTENT, "subject": "Hi\r\nBcc: x@example.com"}}, "invalid_content", "variant fa, subject"),
        ({"content": {**CONTENT, "subject": "\u200b "}}, "invalid_content", "variant fa, subject"),
        ({"content": {**CONTENT, "subject": "{{ '' }}"}}, "invalid_content", "variant fa, subject"),
        ({"content": {**CONTENT, "html": "{% for a in b %}"}}, "invalid_content", "variant fa, html"),
        ({"content": {"subject": "S", "language": "en"}}, "invalid_content", "variant en, html"),
        ({"content": {**CONTENT, "html": "<p>" + "0123456789abcdef" * 40_000}}, "invalid_content", "variant fa, html"),
    ],
    ids=[
        "line-break",
        "no-at",
        "two-ats",
        "subject-break",
        "subject-unseen",
        "subject-empty",
        "broken-liquid",
        "no-body",
        "too-large",
    ],
)
async def test_what_cannot_be_sent_is_refused_whole(delivery_db, workspace_id, client, sender_id, change, code, where):
    refused = await client.post("/v1/messages", json=request(sender_id) | change)
    assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
    assert refused.json()["params"]["where"] == where
    assert refused.json()["mend"]
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from messages") == 0
        assert await connection.fetchval("select count(*) from mailings") == 0


async def test_an_unknown_or_foreign_sender_is_not_found(delivery_db, client):
    refused = await client.post("/v1/messages", json=request(new_id()))
    assert (refused.status_code, refused.json()["code"]) == (404, "sender_not_found")


async def test_a_mail_of_which_nothing_is_left_is_not_sent(delivery_db, workspace_id, smtp_server, client, sender_id):
    content = {"subject": "S", "html": "{% if first_name %}<p>Hello {{ first_name }}</p>{% endif %}"}
    people = [{"email": "a@example.com", "fields": {"first_name": "Ann"}}, {"email": "b@example.com"}]
    asked = (await client.post("/v1/messages", json=request(sender_id, *people, content=content))).json()
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(asked["id"]), sent=1, failed=1)
    assert smtp_server.recipients == ["a@example.com"]
    item = (await client.get(f"/v1/messages/{asked['messages'][1]['id']}")).json()
    assert item["reason"] == "content"
    assert "Nothing is left" in item["smtp"]["text"]


async def test_a_mail_whose_subject_is_empty_for_somebody_is_not_sent_to_them(
    delivery_db, workspace_id, smtp_server, client, sender_id
):
    content = {"subject": "{{ attributes.title }}", "html": "<p>Hello</p>", "language": "fa"}
    people = [
        {"email": "a@example.com", "fields": {"attributes.title": "خبر"}},
        {"email": "b@example.com"},
        {"email": "c@example.com", "fields": {"attributes.title": " \u200f"}},
    ]
    asked = (await client.post("/v1/messages", json=request(sender_id, *people, content=content))).json()
    assert [(one["code"], one["params"]) for one in asked["warnings"]] == [("subject_empty", {"to": [1, 2]})]
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(asked["id"]), sent=1, failed=2)
    assert smtp_server.recipients == ["a@example.com"]
    for told in asked["messages"][1:]:
        item = (await client.get(f"/v1/messages/{told['id']}")).json()
        assert (item["reason"], item["smtp"]["text"]) == (
            "content", "The subject is empty once it is filled for this recipient.",
        )  # fmt: skip


async def test_what_harms_a_mail_is_told_of_the_mail_that_each_recipient_gets(client, sender_id):
    content = {"subject": "S", "html": "<p>{{ attributes.list }}</p><a href='there'>x</a>", "language": "en"}
    people = [
        {"email": "a@example.com", "fields": {"attributes.list": "short"}},
        {"email": "b@example.com", "fields": {"attributes.list": "ü" * 53_000}},
    ]
    asked = (await client.post("/v1/messages", json=request(sender_id, *people, content=content))).json()
    assert {one["code"]: one["params"] for one in asked["warnings"]} == {
        "link_not_absolute": {"variant": "en", "part": "html"},
        "html_clipped": {"to": [1]},
    }
    assert all(one["message"] for one in asked["warnings"])


async def test_a_mail_that_nothing_harms_has_no_warnings(client, sender_id):
    assert (await client.post("/v1/messages", json=request(sender_id))).json()["warnings"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"attributes": "x", "attributes.order": "42", "attributes-": "y"},
        {"attributes.order": "42", "attributes": "x"},
        {"attributes": {"order": "41", "more": 1}, "attributes.order": "42"},
        {"attributes": None, "attributes.order": "42"},
    ],
)
async def test_fields_that_stand_in_each_others_way_are_sent_all_the_same(
    delivery_db, smtp_server, client, sender_id, fields
):
    content = {"subject": "Order {{ attributes.order }}", "html": "<p>x</p>", "language": "en"}
    asked = await client.post(
        "/v1/messages", json=request(sender_id, {"email": "a@example.com", "fields": fields}, content=content)
    )
    assert asked.status_code == 202, asked.text
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, UUID(asked.json()["id"]), sent=1)
    (taken,) = smtp_server.taken
    assert email.message_from_bytes(taken.body, policy=policy.default)["Subject"] == "Order 42"


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400], ids=["large", "small", "huge"])
async def test_a_number_that_no_json_can_hold_is_refused(client, sender_id, number):
    person = {"email": "sara@example.com", "fields": {"attributes": {"order": [1, number]}}}
    refused = await client.post("/v1/messages", json=request(sender_id, person))
    assert refused.status_code == 422, refused.text
    assert "64 bits" in refused.text
