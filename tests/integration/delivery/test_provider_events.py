"""What mail providers tell over HTTP: theirs or not, once or fifty times."""

import base64
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from common.contracts.email import EmailBouncedV1, EmailComplainedV1, EmailDeliveredV1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from delivery.main import create_app
from delivery.settings import Settings

from tests.fixtures.providers import (
    CERTIFICATE,
    MAILGUN_KEY,
    TOPIC,
    Amazon,
    SendGrid,
    mailgun,
    postmark,
    sendgrid_event,
    ses,
    sns,
)
from tests.fixtures.returning import blocked, sent, told
from tests.fixtures.sending import Campaign


@pytest.fixture
async def rows(delivery_db, workspace_id):
    return await sent(delivery_db, Campaign(workspace_id, n=4))


@pytest.fixture
async def http(delivery_db, workspace_id, service_env, keys, http_client, amazon):
    service_env("delivery", delivery_db)
    app = create_app(Settings())
    async with http_client(app, keys.token(workspace_id, "owner")) as client:
        app.state.provider_events._amazon = amazon
        yield client


@pytest.fixture
def amazon():
    return Amazon()


async def endpoint(http, **body):
    """The path of a new endpoint."""
    answer = await http.post("/v1/bounces/endpoints", json={"name": "Mail", **body})
    assert answer.status_code == 201, answer.text
    return urlsplit(answer.json()["url"]).path


async def nothing_happened(db):
    async with db.worker.connection() as connection:
        return await connection.fetchval("select count(*) from returns") == 0 and not await blocked(db)


# SendGrid


async def test_sendgrid_events_count_once_however_often_they_come(http, delivery_db, rows):
    sendgrid = SendGrid()
    path = await endpoint(http, provider="sendgrid", verification_key=sendgrid.written)
    words = {"reason": "550 5.1.1 no such user", "status": "5.1.1"}
    events = [
        sendgrid_event(rows[0], "bounce", type="bounce", **words),
        sendgrid_event(rows[1], "bounce", type="blocked", **words),
        sendgrid_event(rows[2], "spamreport"),
        sendgrid_event(rows[3], "delivered"),
        sendgrid_event(rows[3], "deferred", response="452 4.2.2 mailbox full"),
        sendgrid_event(rows[3], "dropped", reason="Bounced Address"),
        sendgrid_event(rows[3], "open"),
        sendgrid_event(rows[3], "processed"),
    ]
    for n in range(50):
        body, headers = sendgrid.signed(events if n % 2 else events[::-1])
        answer = await http.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"returns": 6})
    assert await blocked(delivery_db) == {rows[0]["address_hash"]: "bad_mailbox", rows[2]["address_hash"]: "complaint"}
    assert sorted((one.bounce, one.reason) for one in await told(delivery_db, EmailBouncedV1)) == [
        ("hard", "bad_mailbox"), ("soft", "bad_mailbox"), ("soft", "inactive"),
    ]  # fmt: skip
    assert [len(await told(delivery_db, kind)) for kind in (EmailComplainedV1, EmailDeliveredV1)] == [1, 1]


@pytest.mark.parametrize("change", ["another key", "another body", "another time", "no signature", "no base64"])
async def test_forged_sendgrid_events_change_nothing(http, delivery_db, rows, change):
    sendgrid = SendGrid()
    path = await endpoint(http, provider="sendgrid", verification_key=sendgrid.written)
    events = [sendgrid_event(rows[0], "spamreport")]
    body, headers = (SendGrid() if change == "another key" else sendgrid).signed(events)
    if change == "another body":
        body = body.replace(b"user0", b"user1")
    elif change == "another time":
        headers["X-Twilio-Email-Event-Webhook-Timestamp"] = "1"
    elif change == "no signature":
        headers = {}
    elif change == "no base64":
        headers["X-Twilio-Email-Event-Webhook-Signature"] = "\xe9!"
    answer = await http.post(path, content=body, headers={k: v.encode("latin-1") for k, v in headers.items()})
    assert (answer.status_code, answer.json()["code"]) == (401, "forged_event")
    assert answer.json()["mend"]
    assert await nothing_happened(delivery_db)


async def test_sendgrid_without_its_key_is_not_set_up(http):
    answer = await http.post(
        "/v1/bounces/endpoints", json={"name": "x", "provider": "sendgrid", "verification_key": "A" * 60}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_provider_secret")


# Mailgun


async def test_mailgun_events_count_once(http, delivery_db, rows):
    path = await endpoint(http, provider="mailgun", signing_key=MAILGUN_KEY)
    for _ in range(3):
        assert (await http.post(path, json=mailgun(rows[0]))).json() == {"returns": 1}
    later = mailgun(rows[1], severity="temporary", token="u", id_="2")
    assert (await http.post(path, json=later)).json() == {"returns": 1}
    assert (await http.post(path, json=mailgun(rows[2], "opened", token="v", id_="3"))).json() == {"returns": 0}
    own_list = mailgun(rows[3], token="w", id_="4", reason="suppress-bounce")
    assert (await http.post(path, json=own_list)).json() == {"returns": 1}
    assert await blocked(delivery_db) == {rows[0]["address_hash"]: "bad_mailbox"}
    assert [(one.bounce, one.reason) for one in await told(delivery_db, EmailBouncedV1)] == [
        ("hard", "bad_mailbox"), ("soft", "inactive"),
    ]  # fmt: skip


async def test_forged_mailgun_events_change_nothing(http, delivery_db, rows):
    path = await endpoint(http, provider="mailgun", signing_key=MAILGUN_KEY)
    wrong = mailgun(rows[0], key="another")
    old = mailgun(rows[0], at=time.time() - 13 * 3600)
    without = {"event-data": mailgun(rows[0])["event-data"]}
    for body in (wrong, old, without, {**wrong, "signature": {"signature": 1}}, [], "x"):
        answer = await http.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "forged_event"), body
    assert await nothing_happened(delivery_db)


async def test_a_signature_of_mailguns_is_good_for_one_event(http, delivery_db, rows):
    """It covers a time and a token, not the event: whoever saw one could put another event beside it."""
    path = await endpoint(http, provider="mailgun", signing_key=MAILGUN_KEY)
    assert (await http.post(path, json=mailgun(rows[0], "delivered"))).status_code == 200
    assert (await http.post(path, json=mailgun(rows[1], "complained", id_="2"))).status_code == 401
    assert await blocked(delivery_db) == {}


# Postmark


async def test_postmark_events_count_once_and_only_with_the_password(http, delivery_db, rows):
    path = await endpoint(http, provider="postmark", username="barid", password="long enough")
    for given in (None, ("barid", "wrong"), ("other", "long enough")):
        answer = await http.post(path, json=postmark(rows[0]), **({"auth": given} if given else {}))
        assert (answer.status_code, answer.json()["code"]) == (401, "forged_event")
    assert await nothing_happened(delivery_db)
    for body in (
        postmark(rows[0]),
        postmark(rows[0]),
        postmark(rows[1], "SpamNotification", ID=43),
        postmark(rows[2], RecordType="SpamComplaint", ID=44),
        postmark(rows[3], RecordType="Delivery", ID=None, Email=None, Recipient=rows[3]["email"]),
        postmark(rows[3], RecordType="Open"),
    ):
        assert (await http.post(path, json=body, auth=("barid", "long enough"))).status_code == 200
    assert await blocked(delivery_db) == {rows[0]["address_hash"]: "bad_mailbox", rows[2]["address_hash"]: "complaint"}
    assert len(await told(delivery_db, EmailDeliveredV1)) == 1


# Amazon SES


async def ses_endpoint(http):
    return await endpoint(http, provider="ses", topic_arn=TOPIC)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_ses_notices_count_once(http, delivery_db, rows, amazon, version):
    path = await ses_endpoint(http)
    for notice in (ses(rows[0]), ses(rows[1], "Complaint"), ses(rows[2], "Delivery"), ses(rows[3], "DeliveryDelay")):
        for _ in range(2):
            body = json.dumps(sns(amazon, notice, version=version))
            answer = await http.post(path, content=body, headers={"content-type": "text/plain; charset=UTF-8"})
            assert (answer.status_code, answer.json()) == (200, {"returns": 1})
    assert await blocked(delivery_db) == {rows[0]["address_hash"]: "bad_mailbox", rows[1]["address_hash"]: "complaint"}
    kinds = (EmailBouncedV1, EmailComplainedV1, EmailDeliveredV1)
    assert [len(await told(delivery_db, kind)) for kind in kinds] == [1, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"SigningCertURL": "https://evil.example/SimpleNotificationService-ab.pem"},
        {"SigningCertURL": CERTIFICATE.replace("https", "http")},
        {"SigningCertURL": CERTIFICATE.replace("amazonaws.com", "amazonaws.com.evil.example")},
        {"SigningCertURL": CERTIFICATE.replace("sns.", "user:sns@sns.")},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/../bucket/SimpleNotificationService-ab.pem"},
        {"Message": "{}"},
        {"Signature": base64.b64encode(b"x" * 256).decode()},
        {"SignatureVersion": "3"},
        {"Type": "Other"},
        {"TopicArn": TOPIC + "2"},
    ],
    ids=lambda one: next(iter(one.items()))[1][:40],
)
async def test_forged_sns_messages_change_nothing_and_make_nobody_fetch(http, delivery_db, rows, amazon, change):
    path = await ses_endpoint(http)
    answer = await http.post(path, json={**sns(amazon, ses(rows[0])), **change})
    assert (answer.status_code, answer.json()["code"]) == (401, "forged_event")
    assert set(amazon.fetched) <= {CERTIFICATE}
    assert await nothing_happened(delivery_db)


async def test_a_topic_of_somebody_else_is_refused_though_amazon_signed_it(http, delivery_db, rows, amazon):
    path = await ses_endpoint(http)
    answer = await http.post(path, json=sns(amazon, ses(rows[0]), topic="arn:aws:sns:eu-west-1:999999999999:mine"))
    assert answer.status_code == 401
    assert amazon.fetched == []


async def test_a_subscription_is_confirmed_at_amazon_and_nowhere_else(http, amazon):
    path = await ses_endpoint(http)
    asked = sns(amazon, "You have chosen to subscribe", kind="SubscriptionConfirmation", Token="a token&x",
                SubscribeURL="https://evil.example/?Action=ConfirmSubscription")  # fmt: skip
    assert (await http.post(path, json=asked)).json() == {"returns": 0}
    certificate, confirmed = amazon.fetched
    parts = urlsplit(confirmed)
    assert (certificate, parts.scheme, parts.netloc) == (CERTIFICATE, "https", "sns.eu-west-1.amazonaws.com")
    assert parse_qs(parts.query) == {"Action": ["ConfirmSubscription"], "TopicArn": [TOPIC], "Token": ["a token&x"]}


async def test_while_amazon_is_away_sns_is_asked_to_come_again(http, delivery_db, rows, amazon):
    path = await ses_endpoint(http)
    amazon.down = True
    answer = await http.post(path, json=sns(amazon, ses(rows[0])))
    assert (answer.status_code, answer.json()["code"]) == (503, "amazon_unreachable")
    assert await nothing_happened(delivery_db)


# All


async def test_an_endpoint_is_one_workspaces_and_its_secret_is_not_shown(http, delivery_db, rows, keys, workspace_id):
    path = await endpoint(http, provider="mailgun", signing_key=MAILGUN_KEY)
    listed = (await http.get("/v1/bounces/endpoints")).json()["items"]
    assert [one["provider"] for one in listed] == ["mailgun"]
    assert MAILGUN_KEY not in json.dumps(listed)
    async with delivery_db.worker.connection() as connection:
        stored, sealed = await connection.fetchrow("select e::text, secret from provider_endpoints e")
    assert MAILGUN_KEY.encode() not in sealed
    assert path.rpartition("/")[2] not in stored
    for wrong in (path[:-1], path.replace("mailgun", "postmark"), "/provider/mailgun/x", "/provider/mailgun/%00"):
        answer = await http.post(wrong, json=mailgun(rows[0]))
        assert (answer.status_code, answer.json()["code"]) == (404, "provider_endpoint_not_found"), wrong
    assert (await http.delete(f"/v1/bounces/endpoints/{listed[0]['id']}")).status_code == 204
    assert (await http.post(path, json=mailgun(rows[0]))).status_code == 404
    assert await nothing_happened(delivery_db)


async def test_events_about_another_workspaces_messages_change_nothing(http, delivery_db, http_client, keys, rows):
    from common.ids import new_id

    (foreign,) = await sent(delivery_db, Campaign(new_id(), n=1))
    path = await endpoint(http, provider="mailgun", signing_key=MAILGUN_KEY)
    assert (await http.post(path, json=mailgun(foreign))).status_code == 200
    assert await blocked(delivery_db) == {}
    assert await told(delivery_db, EmailBouncedV1) == []


@pytest.mark.parametrize(
    "body", ["{", "[1, null, {}]", '{"a": "\\u0000"}', '[{"event": "bounce", "email": "\\ud800"}]']
)
async def test_signed_nonsense_is_a_problem_or_nothing(http, delivery_db, body):
    sendgrid = SendGrid()
    path = await endpoint(http, provider="sendgrid", verification_key=sendgrid.written)
    at = str(int(time.time()))
    signature = base64.b64encode(sendgrid.key.sign((at + body).encode(), ec.ECDSA(SHA256()))).decode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": at,
    }  # fmt: skip
    answer = await http.post(path, content=body, headers=headers)
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert answer.json()["code"] == "unreadable_event"


async def test_ten_thousand_events_of_one_call_are_stored_and_counted_exactly(http, delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=2000)
    rows = await sent(delivery_db, campaign)
    sendgrid = SendGrid()
    path = await endpoint(http, provider="sendgrid", verification_key=sendgrid.written)
    events = [sendgrid_event(row, "delivered") for row in rows] * 5
    for _ in range(2):
        body, headers = sendgrid.signed(events)
        assert (await http.post(path, content=body, headers=headers)).json() == {"returns": 10_000}
    assert len(await told(delivery_db, EmailDeliveredV1)) == 2000
