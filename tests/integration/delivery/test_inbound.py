"""Mail that comes in by LMTP and from a mailbox: stored before it is answered or marked, and never lost."""

import asyncio
import smtplib
from contextlib import asynccontextmanager

import asyncpg
import pytest
from common.errors import Misconfigured
from delivery import inbound
from delivery.inboxes import open_inbox
from delivery.settings import Settings
from delivery.use_cases.intake import Intake

from tests.fixtures.imap import imap_server
from tests.fixtures.returning import dsn, known, mail, return_path, sent
from tests.fixtures.sending import Campaign, eventually
from tests.fixtures.stack import free_port

MANY_PARTS = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 2_000


@pytest.fixture
async def row(delivery_db, workspace_id):
    await known(delivery_db, workspace_id)
    (found,) = await sent(delivery_db, Campaign(workspace_id, n=1))
    return found


@pytest.fixture
def running(delivery_db, service_env, monkeypatch):
    """The process, with these settings; drained at the end."""
    service_env("delivery", delivery_db)

    @asynccontextmanager
    async def run(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, str(value))
        stop = asyncio.Event()
        task = asyncio.create_task(inbound.run(Settings(), stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait_for(task, 30)

    return run


@pytest.fixture
async def lmtp(running, smtp_server):
    """A function that hands a mail over; the answer for each recipient."""
    port = free_port()

    def deliver(body, *recipients):
        with smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
            client.ehlo_or_helo_if_needed()
            assert client.mail("")[0] == 250
            for recipient in recipients:
                assert client.rcpt(recipient)[0] == 250
            answers = [client.data(body)]
            answers += [client.getreply() for _ in recipients[1:]]
        return [code for code, _ in answers]

    async def send(body, *recipients):
        return await asyncio.to_thread(deliver, body, *recipients)

    send.port = port
    smtp = f"smtp://127.0.0.1:{smtp_server.port}"
    async with running(BARID_LMTP_PORT=port, BARID_SMTP_URL=smtp, BARID_ROUTE_NETWORKS="127.0.0.0/8"):
        await eventually(lambda: _listens(port))
        yield send


async def _listens(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def values(db, query):
    async with db.worker.connection() as connection:
        return [tuple(one) for one in await connection.fetch(query)]


KEPT = "select kind, reason, counts, source from returns order by 1, 2"
ASIDE = "select source, why, envelope from set_aside order by why"


async def test_a_bounce_by_lmtp_is_matched_by_its_recipient_alone(delivery_db, row, lmtp):
    stripped = dsn(row, to="undisclosed@recipients.example", recipient="alias@mx1.example.com", message_id=row["id"])
    assert await lmtp(stripped, return_path(row)) == [250]
    assert await values(delivery_db, KEPT) == [("hard", "bad_mailbox", True, "lmtp")]
    assert await values(delivery_db, "select own_reason from blocks") == [("bad_mailbox",)]
    assert await values(delivery_db, ASIDE) == []


async def test_each_recipient_gets_an_answer(row, lmtp):
    assert await lmtp(dsn(row), return_path(row), "postmaster@mail.shop.test", "x@mail.shop.test") == [250, 250, 250]


async def test_what_is_nobodys_or_cannot_be_read_is_kept_with_the_reason(delivery_db, row, lmtp):
    spam = mail("From: a@spam.example\nTo: bounces@mail.shop.test\nSubject: buy\n\n" + "now\n" * 50_000)
    assert await lmtp(spam, "bounces@mail.shop.test") == [250]
    assert await lmtp(MANY_PARTS, "bounces@mail.shop.test") == [250]
    assert await values(delivery_db, ASIDE) == [
        ("lmtp", "bounce_too_many_parts", ["bounces@mail.shop.test"]),
        ("lmtp", "unknown", ["bounces@mail.shop.test"]),
    ]
    assert await values(delivery_db, "select length(mail) from set_aside where why = 'unknown'") == [(65536,)]
    assert await values(delivery_db, KEPT) == []


@pytest.mark.parametrize(
    "recipient",
    [b"\xff\xfe@mail.shop.test", b"a\x00b@mail.shop.test", b"x" * 300 + b"@x.test"],
    ids=["no text", "a NUL", "long"],
)
async def test_an_envelope_of_any_bytes_loses_no_mail(delivery_db, row, lmtp, recipient):
    reader, writer = await asyncio.open_connection("127.0.0.1", lmtp.port)
    writer.write(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%b>\r\nRCPT TO:<ok@mail.shop.test>\r\nDATA\r\n" % recipient)
    writer.write(b"Subject: nobody's\r\n\r\nx\r\n.\r\nQUIT\r\n")
    answers = (await reader.read()).split(b"\r\n")
    writer.close()
    assert not [line for line in answers if line.startswith(b"500")]
    assert b"250 2.0.0 taken in" in answers
    assert [why for _, why, _ in await values(delivery_db, ASIDE)] == ["unknown"]


async def test_a_line_longer_than_smtp_allows_loses_no_mail(delivery_db, row, lmtp):
    long = dsn(row).replace(b"\r\n\r\n", b"\r\n\r\n<p>" + b"x" * 500_000 + b"</p>\r\n", 1)
    assert await lmtp(long, return_path(row)) == [250]
    assert [source for _, _, _, source in await values(delivery_db, KEPT)] == ["lmtp"]


async def test_a_mail_of_50_mb_is_refused_with_its_reason(delivery_db, row, lmtp):
    assert await lmtp(dsn(row) + (b"x" * 76 + b"\r\n") * 672_000, return_path(row)) == [552]
    assert await values(delivery_db, KEPT) == []


async def test_while_the_database_is_away_the_server_is_asked_to_come_again(delivery_db, row, lmtp, monkeypatch):
    async def away(*_):
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    with monkeypatch.context() as patch:
        patch.setattr("delivery.use_cases.intake.take_returns", away)
        assert await lmtp(dsn(row), return_path(row)) == [451]
    assert await values(delivery_db, KEPT) == []
    assert await values(delivery_db, ASIDE) == []
    assert await lmtp(dsn(row), return_path(row)) == [250]
    assert len(await values(delivery_db, KEPT)) == 1


async def test_stored_and_never_answered_it_comes_again_and_changes_nothing(delivery_db, row, lmtp, monkeypatch):
    """Killed between the commit and the answer: the server hands the same mail over again."""
    take = Intake.take

    async def killed(self, *arguments):
        await take(self, *arguments)
        raise ConnectionResetError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "take", killed)
        assert await lmtp(dsn(row), return_path(row)) == [451]
    assert await lmtp(dsn(row), return_path(row)) == [250]
    assert len(await values(delivery_db, KEPT)) == 1
    assert len(await values(delivery_db, "select 1 from outbox where topic = 'email.bounced'")) == 1


async def test_a_mail_that_breaks_the_code_is_set_aside_and_read_by_a_version_that_can(
    delivery_db, row, lmtp, running, monkeypatch
):
    def broken(*_):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("delivery.use_cases.intake.read_returns", broken)
        assert await lmtp(dsn(row), return_path(row)) == [250]
    assert await values(delivery_db, ASIDE) == [("lmtp", "unreadable", [return_path(row)])]
    monkeypatch.delenv("BARID_LMTP_PORT")
    async with running():

        async def read():
            return not await values(delivery_db, ASIDE)

        await eventually(read)
    assert await values(delivery_db, KEPT) == [("hard", "bad_mailbox", True, "lmtp")]


async def test_a_maildir_is_read_and_what_was_read_is_marked(delivery_db, row, running, tmp_path):
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.a.host").write_bytes(dsn(row).replace(b"\r\n", b"\n"))
    (tmp_path / "new" / "2.b.host").write_bytes(b"x" * (11 * 1024 * 1024))
    (tmp_path / "new" / "3.c.host").write_bytes(MANY_PARTS)
    (tmp_path / "new" / "3.d.host").write_bytes(mail("From: a@x.example\nSubject: a person's own\n\nhello\n"))
    (tmp_path / "cur" / "0.seen.host:2,S").write_bytes(dsn(row, extra="seen already"))

    async with running(BARID_INBOX_URL=f"maildir:{tmp_path}", BARID_INBOX_EVERY_S="0.1"):
        await eventually(lambda: not list((tmp_path / "new").iterdir()))
        (tmp_path / "new" / "4.d.host").write_bytes(dsn(row, extra="a second report"))
        await eventually(lambda: not list((tmp_path / "new").iterdir()))
    assert sorted(one.name for one in (tmp_path / "cur").iterdir()) == [
        "0.seen.host:2,S", "1.a.host:2,S", "2.b.host:2,FS", "3.c.host:2,S", "3.d.host:2,S", "4.d.host:2,S",
    ]  # fmt: skip
    assert await values(delivery_db, KEPT) == [("hard", "bad_mailbox", True, "inbox")] * 2
    assert [why for _, why, _ in await values(delivery_db, ASIDE)] == ["bounce_too_many_parts"]


async def test_a_mailbox_over_imap_is_read_and_marked_once_it_is_stored(delivery_db, row, running):
    async with imap_server() as server:
        first, large = server.add(dsn(row)), server.add(b"x" * (11 * 1024 * 1024))
        server.cut_at = b"UID STORE"  # the connection breaks after the commit
        url = f"imap://ann:secret@127.0.0.1:{server.port}/INBOX"
        async with running(BARID_INBOX_URL=url, BARID_INBOX_EVERY_S="0.1"):
            await eventually(lambda: r"\Seen" in server.flags[large], timeout_s=40)
            later = server.add(dsn(row, extra="a second report"))
            await eventually(lambda: server.flags[later])
        assert server.flags == {first: {r"\Seen"}, large: {r"\Seen", r"\Flagged"}, later: {r"\Seen"}}
        assert server.fetched.count(first) == 2
    assert len(await values(delivery_db, KEPT)) == 2


async def test_a_mail_that_the_server_does_not_give_holds_up_none_behind_it(delivery_db, row, running):
    async with imap_server() as server:
        bad, good = server.add(dsn(row, extra="never read")), server.add(dsn(row))
        server.refused = {bad}
        url = f"imap://ann:secret@127.0.0.1:{server.port}/INBOX"
        async with running(BARID_INBOX_URL=url, BARID_INBOX_EVERY_S="0.1"):
            await eventually(lambda: r"\Flagged" in server.flags[bad], timeout_s=40)
        assert server.flags == {bad: {r"\Seen", r"\Flagged"}, good: {r"\Seen"}}
    assert await values(delivery_db, KEPT) == [("hard", "bad_mailbox", True, "inbox")]


async def test_a_server_that_gives_no_mail_at_all_is_asked_again(delivery_db, row, running):
    async with imap_server() as server:
        mail = server.add(dsn(row))
        server.refused = {mail}
        url = f"imap://ann:secret@127.0.0.1:{server.port}/INBOX"
        async with running(BARID_INBOX_URL=url, BARID_INBOX_EVERY_S="0.1"):
            await eventually(lambda: server.fetched, timeout_s=40)
            server.refused = set()
            await eventually(lambda: server.flags[mail], timeout_s=40)
        assert server.flags == {mail: {r"\Seen"}}


async def test_a_refused_login_ends_the_start_with_the_settings_name(running):
    async with imap_server() as server:
        with pytest.raises(ExceptionGroup) as failed:
            async with running(BARID_INBOX_URL=f"imap://ann:wrong@127.0.0.1:{server.port}/") as task:
                await asyncio.wait([task])
    (error,) = failed.value.exceptions
    assert isinstance(error, Misconfigured)
    assert "BARID_INBOX_URL" in error.message
    assert "wrong password" in error.message
    assert "ann" not in error.message


async def test_production_takes_no_mailbox_whose_password_others_know(service_env, delivery_db, monkeypatch):
    service_env("delivery", delivery_db, BARID_ENV="production", BARID_INBOX_URL="imaps://ann:changeme@mail.example/")
    with pytest.raises(Misconfigured, match=r"BARID_INBOX_URL has a password that is a default or an example"):
        await inbound.run(Settings(), asyncio.Event())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("pop3://a:b@host", "must be maildir:/path, or imaps"),
        ("imaps://host/INBOX", "must be imaps://user:password@host/folder"),
        ("imaps://a:b@host:no/INBOX", "port that is no number"),
        ("imaps://a:b@host/%22x", "folder that is not plain ASCII"),
        ("maildir:/nowhere", "/nowhere is no Maildir"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url, said):
    with pytest.raises(Misconfigured) as wrong:
        open_inbox(url)
    assert "BARID_INBOX_URL" in wrong.value.message
    assert said in wrong.value.message


REPLY = """\
From: Ann <{author}>
To: {to}
Subject: Re: Hi
Message-ID: <1@home.example>
In-Reply-To: <{id}@shop.test>
{more}
.Do you have it in blue?
"""


def reply(row, *, to="news@shop.test", more="", author="user0@example.com"):
    return mail(REPLY.format(to=to, id=row["id"], more=more and more + "\n", author=author))


async def test_a_persons_answer_goes_on_to_reply_to_as_it_came(delivery_db, row, lmtp, smtp_server):
    smtp_server.replies["help@shop.test"] = {"rcpt": "451 4.3.0 later"}
    assert await lmtp(reply(row), return_path(row)) == [250]

    async def put_off():
        return await values(delivery_db, "select 1 from forwards where attempts = 1 and next_at < now() + '5 min'")

    await eventually(put_off)
    smtp_server.replies.clear()
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update forwards set next_at = now()")

    async def gone():
        return not await values(delivery_db, "select 1 from forwards")

    await eventually(gone)
    (taken,) = smtp_server.taken
    assert (taken.sender, taken.recipient) == ("", "help@shop.test")
    assert taken.body.endswith(b"\r\n\r\n..Do you have it in blue?\r\n"), "as on the wire, where dots are doubled"
    assert taken.body.startswith(b"X-Barid-Forwarded: ")
    # In a circle it is a machine's mail.
    assert await lmtp(taken.body, return_path(row)) == [250]
    assert await values(delivery_db, "select 1 from forwards") == []
    assert len(await values(delivery_db, "select 1 from outbox where topic = 'email.replied'")) == 1


async def test_an_answer_that_is_refused_for_good_is_set_aside(delivery_db, row, lmtp, smtp_server):
    smtp_server.replies["help@shop.test"] = {"rcpt": "550 5.1.1 no such user"}
    assert await lmtp(reply(row), return_path(row)) == [250]

    async def kept():
        return await values(delivery_db, ASIDE)

    await eventually(kept)
    assert await values(delivery_db, ASIDE) == [("forward", "not_forwarded", ["help@shop.test"])]
    assert await values(delivery_db, "select 1 from forwards") == []


@pytest.mark.parametrize(
    "more",
    ["Auto-Submitted: auto-generated", "Precedence: bulk", "Return-Path: <>", "List-Id: <a.example>",
     "X-Barid-Forwarded: 1"],
    ids=["auto-submitted", "bulk", "null sender", "list", "ours"],
)  # fmt: skip
async def test_what_a_machine_wrote_does_not_go_on(delivery_db, row, lmtp, more):
    assert await lmtp(reply(row, more=more), return_path(row)) == [250]
    assert await values(delivery_db, "select 1 from forwards") == []
    assert await values(delivery_db, "select 1 from outbox where topic = 'email.replied'") == []


async def test_an_answer_that_is_where_it_should_be_does_not_go_on(delivery_db, row, lmtp):
    assert await lmtp(reply(row, to="Help <HELP@shop.test>"), return_path(row)) == [250]
    assert await values(delivery_db, "select kind, counts from returns") == [("reply", True)]
    assert await values(delivery_db, "select 1 from forwards") == []
