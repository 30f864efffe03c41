"""A campaign through a real mailer, a real PostgreSQL and a scripted SMTP server."""

import asyncio
import email
from base64 import b64encode
from email import policy

import dkim
import pytest
from common.contracts.campaigns import Sender
from common.contracts.email import EmailDeferredV1, EmailFailedV1, EmailSentV1, EmailUncertainV1, SmtpReply
from common.testing.deliver import deliver, outbox_events
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from delivery.domain.dkim import SigningKey
from delivery.use_cases.signing import Signer

from tests.fixtures.sending import MAIN, Campaign, by_topic, eventually, mailing, rows, until


async def test_every_recipient_gets_one_mail_and_the_books_hold(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=150)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=150)
    assert sorted(smtp_server.recipients) == sorted(one.email for one in campaign.recipients)
    sent = by_topic(await outbox_events(delivery_db.worker), EmailSentV1)
    assert len({event.data.message_id for event in sent}) == 150
    assert all(event.data.attempt == 1 and event.data.campaign_id == campaign.id for event in sent)
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from intents") == 0
        assert await connection.fetchval("select count(*) from mailers") == 0
        assert await connection.fetchval("select n from message_counts where status = 'sent'") == 150


async def test_a_sent_mail_is_told_as_the_ledger_has_it(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=1)
    (row,) = await rows(delivery_db, campaign.id)
    (event,) = by_topic(await outbox_events(delivery_db.worker), EmailSentV1)
    assert event.workspace_id == workspace_id
    assert event.data == EmailSentV1(
        message_id=row["id"],
        kind="campaign",
        contact_id=campaign.recipients[0].contact_id,
        campaign_id=campaign.id,
        purpose_id=campaign.purpose_id,
        variant_id=row["variant_id"],
        attempt=1,
        revision=row["revision"],
        provider=row["provider"],
        smtp=SmtpReply(code=250, enhanced=row["smtp_enhanced"], text=row["smtp_text"]),
    )
    assert row["smtp_text"]


async def test_headers_are_those_of_bulk_mail(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=1)
    taken = smtp_server.taken[0]
    message = email.message_from_bytes(taken.body, policy=policy.default)
    (row,) = await rows(delivery_db, campaign.id)
    assert message["Message-ID"] == f"<{row['id']}@shop.test>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "<http://mail.test/u/" in message["List-Unsubscribe"]
    assert message["Reply-To"] == "help@shop.test"
    assert len(message.get_all("Feedback-ID")) == 1
    assert message["List-Id"]
    assert taken.sender == "news@shop.test"
    assert "Hello Ann" in message.get_body(("html",)).get_content()
    assert "/o/" not in message.get_body(("html",)).get_content(), "no pixel without tracking consent"
    assert "https://shop.test/offer" in message.get_body(("html",)).get_content(), "no rewritten link either"


async def test_mail_is_signed_where_the_senders_domain_has_a_key(delivery_db, workspace_id, smtp_server):
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signer = Signer({"shop.test": [SigningKey("shop.test", "s1", key)]})
    mine = Campaign(workspace_id, n=20)
    unsigned = Campaign(workspace_id, n=1, sender=Sender(name="Other", email="news@other.test"))
    await deliver(delivery_db.worker, MAIN, [*mine.events(), *unsigned.events()])
    async with mailing(delivery_db, smtp_server.port, signer=signer):
        await until(delivery_db, mine.id, sent=20)
        await until(delivery_db, unsigned.id, sent=1)
    asked = []

    def published(name, timeout=5):
        asked.append(name)
        return b"v=DKIM1; p=" + b64encode(public)

    for taken in smtp_server.taken:
        holds = dkim.verify(taken.body, dnsfunc=published)
        assert holds == (taken.sender == "news@shop.test")
    assert asked == [b"s1._domainkey.shop.test."] * 20


async def test_refusals_go_by_their_class(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id)
    answers = {
        "gone@example.com": ("rcpt", "550 5.1.1 no such user"),
        "full@example.com": ("rcpt", "552 5.2.2 mailbox full"),
        "big@example.com": ("body", "552 5.3.4 message too big"),
        "later@example.com": ("rcpt", "451 4.3.0 try later"),
        "fine@example.com": ("rcpt", "250 ok"),
    }
    campaign.recipients = [campaign.person(address) for address in answers]
    for address, (phase, line) in answers.items():
        smtp_server.replies[address] = {phase: line}
    smtp_server.times["later@example.com"] = 1
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=2, failed=3)
    found = {row["email"]: row for row in await rows(delivery_db, campaign.id)}
    assert found["gone@example.com"]["class"] == "bad_mailbox"
    assert found["full@example.com"]["class"] == "mailbox_full"
    assert found["big@example.com"]["class"] == "content"
    assert found["later@example.com"]["attempt"] == 2
    events = await outbox_events(delivery_db.worker)
    (deferred,) = by_topic(events, EmailDeferredV1)
    assert deferred.data.smtp.code == 451
    failed = {event.data.failure: event.data for event in by_topic(events, EmailFailedV1)}
    assert failed["mailbox_full"].block_id is None
    async with delivery_db.worker.connection() as connection:
        (block,) = await connection.fetch("select * from blocks")
    assert failed["bad_mailbox"].block_id == block["own_id"]


@pytest.mark.parametrize("asks_for_nobodys_body", [False, True])
async def test_nobody_gets_an_empty_mail_after_a_refusal(delivery_db, workspace_id, smtp_server, asks_for_nobodys_body):
    """Commands behind the refused one are on their way already, and some servers then ask for a body."""
    campaign = Campaign(workspace_id, n=40)
    gone = {one.email for one in campaign.recipients[::4]}
    smtp_server.replies.update({address: {"rcpt": "550 5.1.1 no such user"} for address in gone})
    smtp_server.asks_for_nobodys_body = asks_for_nobodys_body
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=30, failed=10)
    assert sorted(smtp_server.recipients) == sorted({one.email for one in campaign.recipients} - gone)
    for taken in smtp_server.taken:
        message = email.message_from_bytes(taken.body, policy=policy.default)
        assert message["To"] == taken.recipient
        assert "Hello Ann" in message.get_body(("html",)).get_content()
    assert smtp_server.emptied == ([b""] * 10 if asks_for_nobodys_body else [])
    assert smtp_server.connections <= 4, "a refusal does not cost the connection"


async def test_a_mail_larger_than_the_server_takes_fails_before_it_is_sent(delivery_db, workspace_id, smtp_server):
    smtp_server.extensions = ("PIPELINING", "SIZE 500")
    campaign = Campaign(workspace_id, n=2)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, failed=2)
    assert {row["class"] for row in await rows(delivery_db, campaign.id)} == {"content"}
    failed, _ = by_topic(await outbox_events(delivery_db.worker), EmailFailedV1)
    assert failed.data.smtp.code is None
    assert "takes at most 500" in failed.data.smtp.text
    assert not any(line.startswith("MAIL") for line in smtp_server.commands)


async def test_what_a_lost_connection_means_depends_on_the_dot(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id)
    phases = {"a@example.com": "rcpt", "b@example.com": "data", "c@example.com": "after_dot"}
    campaign.recipients = [campaign.person(address) for address in phases]
    smtp_server.drop.update(phases)
    smtp_server.times.update({"a@example.com": 1, "b@example.com": 1})
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=2, uncertain=1)
    assert sorted(smtp_server.recipients) == sorted(phases), "nothing twice"
    (uncertain,) = by_topic(await outbox_events(delivery_db.worker), EmailUncertainV1)
    assert uncertain.data.cause == "connection_lost"


async def test_silence_after_the_dot_is_uncertain(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    smtp_server.hang["user0@example.com"] = "after_dot"
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, dot_timeout_s=0.3):
        await until(delivery_db, campaign.id, uncertain=1)
    assert (await rows(delivery_db, campaign.id))[0]["class"] == "timeout"


async def test_421_slows_the_provider_and_fails_nobody(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=3)
    smtp_server.replies["*"] = {"mail": "421 4.7.0 too fast"}
    smtp_server.times["*"] = 1
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, connections=1):
        await until(delivery_db, campaign.id, sent=3)
    assert len(smtp_server.recipients) == 3


async def test_without_smtputf8_a_local_part_beyond_ascii_is_unsupported(delivery_db, workspace_id, smtp_server):
    smtp_server.extensions = ("8BITMIME",)
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person("علي@example.com"), campaign.person("ali@مثال.com")]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=1, failed=1)
    assert smtp_server.recipients == ["ali@xn--mgbh0fb.com"]


async def test_mail_goes_to_the_domain_as_it_is_written_today(delivery_db, workspace_id, smtp_server):
    """By IDNA 2008: the older rules made a stranger's domain of each of these."""
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person("a@faß.de"), campaign.person("b@نامه\u200cای.com")]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=2)
    assert sorted(smtp_server.recipients) == ["a@xn--fa-hia.de", "b@xn--mgba3gch31f060k.com"]


async def test_with_smtputf8_it_is_sent(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person("علي@example.com")]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=1)
    assert smtp_server.recipients == ["علي@example.com"]
    assert any("SMTPUTF8" in line for line in smtp_server.commands if line.startswith("MAIL"))


async def test_a_server_that_is_down_costs_nothing(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=5)
    smtp_server.refuse = True
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await asyncio.sleep(1)
        smtp_server.refuse = False
        await until(delivery_db, campaign.id, sent=5)
    assert len(smtp_server.recipients) == 5


async def test_a_stopped_mailer_gives_back_what_it_has_not_begun(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=200)
    smtp_server.delay_s = 0.2
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await eventually(lambda: bool(smtp_server.recipients))
    found = await rows(delivery_db, campaign.id)
    sent = [row["email"] for row in found if row["status"] == "sent"]
    assert sorted(sent) == sorted(smtp_server.recipients)
    assert 0 < len(sent) < 200
    assert {row["status"] for row in found} == {"sent", "pending"}
