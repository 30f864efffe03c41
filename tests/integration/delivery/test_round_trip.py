"""Mail as the mailer sends it, and what its own headers bring back; real servers' bounces; a process that is killed."""

import asyncio
import json
import os
import signal
import smtplib
import sys
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path

import pytest
from common.contracts.addresses import InvalidAddress, normalise_address
from common.contracts.email import EmailBouncedV1, EmailRepliedV1
from common.testing.deliver import deliver
from delivery.domain.bounces import classify_mail
from delivery.domain.claims import Matcher
from delivery.domain.return_path import ReturnPaths
from delivery.main import create_app
from delivery.settings import Settings
from delivery.use_cases.intake import Intake

from tests.fixtures.returning import PATHS, RING, blocked, dsn, known, mail, return_path, sent, told
from tests.fixtures.sending import KEYS, MAIN, Campaign, eventually, mailing, until
from tests.fixtures.stack import free_port

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "bounces"
MATCHER = Matcher(ReturnPaths(RING), KEYS)


async def test_a_bounce_of_a_mail_as_it_was_sent_keeps_the_next_one_from_going_out(
    delivery_db, workspace_id, smtp_server
):
    await known(delivery_db, workspace_id)
    first, second = Campaign(workspace_id, n=2), Campaign(workspace_id)
    second.recipients = first.recipients
    await deliver(delivery_db.worker, MAIN, first.events())
    async with mailing(delivery_db, smtp_server.port, return_paths=PATHS):
        await until(delivery_db, first.id, sent=2)
    gone, alive = sorted(smtp_server.taken, key=lambda one: one.recipient)
    assert gone.sender != alive.sender
    assert gone.sender.endswith("@mail.shop.test")
    header = gone.body.partition(b"\r\n\r\n")[0].decode()
    report = (
        "From: MAILER-DAEMON@mx.example.com\r\nSubject: failure notice\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n"
        f"Final-Recipient: rfc822; {gone.recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 unknown user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{header}\r\n\r\n--b--\r\n"
    ).encode()
    intake = Intake(delivery_db.worker, MATCHER)
    # Where it was delivered is enough to block; the returned header's link and its Message-ID are enough to count.
    await intake.take(report, [gone.sender], "lmtp")
    assert len(await blocked(delivery_db)) == 1
    without_link = b"\r\n".join(line for line in report.split(b"\r\n") if b"/u/" not in line)
    for one in (report, without_link):
        changed = one.replace(b"failure notice", b"failure notice %d" % len(one))
        await intake.take(changed, ["somebody@mail.shop.test"], "lmtp")
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from returns where counts") == 3
    await deliver(delivery_db.worker, MAIN, second.events())
    async with mailing(delivery_db, smtp_server.port, return_paths=PATHS):
        await until(delivery_db, second.id, sent=1, suppressed=1)
    assert [one.recipient for one in smtp_server.taken].count(gone.recipient) == 1


async def test_an_answer_to_the_mails_reply_to_is_told(delivery_db, workspace_id, smtp_server):
    await known(delivery_db, workspace_id)
    campaign = Campaign(workspace_id, n=1)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, return_paths=PATHS):
        await until(delivery_db, campaign.id, sent=1)
    (taken,) = smtp_server.taken
    reply_to = message_from_bytes(taken.body, policy=default)["reply-to"].addresses[0].addr_spec
    assert reply_to.startswith("r+")
    text = (
        f"From: Her Assistant <pa@else.example>\nTo: {reply_to}\nSubject: Re: Hi\nMessage-ID: <1@x.example>\n\nYes.\n"
    )
    await Intake(delivery_db.worker, MATCHER).take(mail(text), [reply_to], "lmtp")
    assert len(await told(delivery_db, EmailRepliedV1)) == 1
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select recipient from forwards") == "help@shop.test"


@pytest.mark.skipif(
    not (CORPUS / "expected.json").exists(), reason=f"no mails at {CORPUS}: real servers' bounces were not taken in"
)
async def test_real_bounces_block_who_is_gone_or_complains_and_nobody_else(
    delivery_db, workspace_id, service_env, keys, http_client
):
    """Each as if it had been delivered to the address of another message of ours, whose recipient is at the domain that
    the bounce tells of: at another domain it would be a mailbox that they have their mail forwarded to.
    """
    expected = json.loads((CORPUS / "expected.json").read_text())
    campaign = Campaign(workspace_id, n=0)
    campaign.recipients = [
        campaign.person(f"user{n}@{_told_domain((CORPUS / 'messages' / name).read_bytes())}")
        for n, name in enumerate(sorted(expected))
    ]
    rows = await sent(delivery_db, campaign)
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id, "owner")) as http:
        for row, name in zip(rows, sorted(expected), strict=True):
            body = _delivered_to(return_path(row), (CORPUS / "messages" / name).read_bytes())
            answer = await http.post("/v1/bounces", content=body, headers={"content-type": "message/rfc822"})
            assert answer.status_code == 202, f"{name}: {answer.text}"
    found = await blocked(delivery_db)
    wrong = [
        (name, found[row["address_hash"]])
        for row, name in zip(rows, sorted(expected), strict=True)
        if row["address_hash"] in found and not {one["kind"] for one in expected[name]} & {"hard", "complaint"}
    ]
    assert wrong == []
    stopping = [name for name in expected if {one["kind"] for one in expected[name]} <= {"hard", "complaint"}]
    reasons = {
        name: {one.reason for one in classify_mail((CORPUS / "messages" / name).read_bytes())} for name in stopping
    }
    at_once = [name for name in stopping if "bad_domain" not in reasons[name]]  # an unknown domain needs two
    assert len(found) >= 0.9 * len(at_once)
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(distinct message_id) from returns where counts") == len(expected)


async def test_killed_at_any_moment_it_loses_no_mail_and_counts_none_twice(
    delivery_db, workspace_id, service_env, smtp_server
):
    """A mail server hands each mail over until it is answered 250; the process is killed again and again."""
    await known(delivery_db, workspace_id)
    rows = await sent(delivery_db, Campaign(workspace_id, n=120))
    port = free_port()
    environment = os.environ | service_env(
        "delivery", delivery_db, BARID_LMTP_PORT=str(port), BARID_SMTP_URL=f"smtp://127.0.0.1:{smtp_server.port}"
    )

    async def start():
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "delivery", "inbound", env=environment)

    async def hand_over(some):
        for row in some:
            await eventually(partial(asyncio.to_thread, _delivered, port, dsn(row), return_path(row)), timeout_s=60)

    handing = [asyncio.create_task(hand_over(rows[n::3])) for n in range(3)]
    process = await start()
    try:
        for share in (10, 40, 80):

            async def so_many(share=share):
                return len(await told(delivery_db, EmailBouncedV1)) >= share

            await eventually(so_many, timeout_s=60)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await start()
        await asyncio.wait_for(asyncio.gather(*handing), 120)
    finally:
        process.kill()
        await process.wait()
    events = await told(delivery_db, EmailBouncedV1)
    assert sorted(event.message_id for event in events) == sorted(row["id"] for row in rows)
    assert len(await blocked(delivery_db)) == len(rows)
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from returns") == len(rows)


def _delivered_to(address, mail):
    """The mail with the header that a server writes; behind the line that begins a mailbox file."""
    first, newline, rest = mail.partition(b"\n") if mail.startswith(b"From ") else (b"", b"", mail)
    return first + newline + f"Delivered-To: {address}\r\n".encode() + rest


def _told_domain(bounce):
    """Where the recipient is who a bounce says is gone, or else the first that it names."""
    told = sorted(classify_mail(bounce), key=lambda one: one.kind not in {"hard", "complaint"})
    for one in told:
        with suppress(InvalidAddress):
            return normalise_address(one.recipient).rpartition("@")[2]
    return "example.com"


def _reasons(path):
    return {one.reason for one in classify_mail(path.read_bytes())}


def _delivered(port, body, recipient):
    try:
        with smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
            client.sendmail("", [recipient], body)
    except (OSError, smtplib.SMTPException):
        return False
    return True
