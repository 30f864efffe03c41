"""Any bytes: judged or refused with a reason, in bounded time; what a temporary code says never blocks anybody."""

import time

import pytest
from delivery.domain.bounces import MAX_BYTES, classify_mail
from delivery.domain.bounces.mime import MAX_PARTS, decode_text, decode_words, read_mails, split_headers
from delivery.domain.bounces.verdicts import Evidence, judge
from delivery.errors import BounceTooLarge, BounceTooManyParts
from hypothesis import given
from hypothesis import strategies as st

KINDS = {"hard", "soft", "complaint", "auto-reply", "delivered"}
HEAD = b"From: MAILER-DAEMON@example.net\r\nSubject: Undelivered Mail Returned to Sender\r\n"
SECONDS = 20  # of a busy machine; a second on an idle one
FRAGMENTS = st.sampled_from(
    [
        HEAD,
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
        b'Content-Type: multipart/mixed; boundary="b"\r\n',
        b"Content-Type: message/delivery-status\r\n",
        b"Content-Type: message/feedback-report\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/html; charset=utf-16\r\n",
        b"Content-Type: text/plain; charset=utf-7\r\n",
        b"Content-Type: text/plain; charset=undefined\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"\r\n",
        b"\n\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"Final-Recipient: rfc822; sara@example.com\r\n",
        b"Original-Recipient: rfc822;\r\n",
        b"Action: failed\r\n",
        b"Status: 5.1.1\r\n",
        b"Diagnostic-Code: smtp; 550 5.1.1 user unknown\r\n",
        b"Feedback-Type: abuse\r\n",
        b"<sara@example.com>: 550 user unknown (in reply to RCPT TO command)\r\n",
        b"+2AA-", b"=?utf-7?q?+2AA-?=", b"=?x?b?====?=", b"<script>", b"&#xd800;", b"\x00", b"\xff\xfe", b"\x1b$B",
        b'{"notificationType":"Bounce","bounce":', b'{"bouncedRecipients":[{"emailAddress":1,"status":[]}]}', b"}",
        b"From a@b Mon Nov  2 10:00:00 2026\n",
    ]
)  # fmt: skip


def assert_sound(raw: bytes) -> None:
    for one in classify_mail(raw):
        assert one.kind in KINDS
        assert one.reason
        assert one.recipient.isprintable() or one.recipient.encode()
        assert "\x00" not in one.recipient


@given(st.binary(max_size=4000))
def test_any_bytes(raw):
    assert_sound(raw)


@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=40)), max_size=60))
def test_any_bytes_that_look_like_a_bounce(fragments):
    assert_sound(b"".join(fragments))


@given(st.binary(max_size=300), st.text(max_size=20))
def test_any_charset(raw, charset):
    decode_text(raw, charset)
    decode_words(f"=?{charset}?q?{raw.decode('latin-1')}?=")


@given(
    st.sampled_from(["failed", "delayed", ""]),
    st.integers(400, 499),
    st.text(max_size=100),
    st.sampled_from(["user unknown", "no such user", "host unknown", "mailbox does not exist"]),
    st.sampled_from(["5.1.1", "4.1.1", ""]),
)
def test_a_temporary_reply_is_never_hard(action, code, text, words, status):
    said = f"{code} {words}"
    around = f"<a@example.com>: {text} said: {said} (in reply to RCPT TO command)"
    assert judge(Evidence(action=action, status=status, words=said, around=around)).kind != "hard"


def test_a_mail_that_is_too_large_is_refused():
    with pytest.raises(BounceTooLarge) as refused:
        classify_mail(b"x" * (50 * 1024 * 1024))
    assert refused.value.params == {"bytes": 50 * 1024 * 1024, "most": MAX_BYTES}


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 10_000,
        b"From a@b Mon Nov  2 10:00:00 2026\nSubject: x\n\nx\n\n" * 10_000,
    ],
    ids=["parts", "mails"],
)
def test_a_mail_of_too_many_parts_is_refused(raw):
    with pytest.raises(BounceTooManyParts) as refused:
        classify_mail(raw)
    assert refused.value.params == {"most": MAX_PARTS}


def nested(depth: int) -> bytes:
    return b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth))


def fill(text: bytes) -> bytes:
    return text * ((MAX_BYTES - 4096) // len(text))


HUGE = {
    "nested": nested(3000) + b"\r\n<a@example.com>: 550 user unknown",
    "nested and long": nested(300) + fill(b"a line of text\r\n")[: -len(nested(300))],
    "one header": b"Subject: " + fill(b"x"),
    "many headers": fill(b"X-A: y\r\n"),
    "a folded header": b"X-A: y\r\n" + fill(b" y\r\n"),
    "encoded words": b"Subject: " + fill(b"=?utf-8?q?a?= "),
    "addresses": HEAD + b"\r\n" + fill(b"a@b.c "),
    "recipients": HEAD + b"\r\n" + fill(b"<a@b.c>: 550 user unknown\r\n"),
    "one word": HEAD + b"\r\n" + fill(b"a"),
    "signs": HEAD + b"\r\n" + fill(b"-_" * 100 + b"\n"),
    "at signs": HEAD + b"\r\n" + fill(b"@"),
    "codes": HEAD + b"\r\n" + fill(b"550 5.1.1 "),
    "words": HEAD + b"\r\nto user@example.com\r\n" + fill(b"the mailbox account user address domain host "),
    "tags": HEAD + b"Content-Type: text/html\r\n\r\n" + fill(b"<script "),
    "base64": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + fill(b"QUFB"),
    "quoted": HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + fill(b"=41"),
    "fields": HEAD + b"\r\n" + fill(b"Final-Recipient: rfc822;a@b.c\nAction: failed\nStatus: 5.1.1 (x)\n\n"),
    "brackets": HEAD + b"\r\nFinal-Recipient: a@b.c\nAction: failed\nStatus: " + fill(b"("),
    "nothing": fill(b"\0"),
    "delimiters": b"Content-Type: multipart/mixed; boundary=" + b"-" * 300 + b"\r\n\r\n" + fill(b"-"),
}


@pytest.mark.parametrize("name", HUGE)
def test_hostile_mails_take_bounded_time(name):
    assert len(HUGE[name]) <= MAX_BYTES
    began = time.monotonic()
    assert_sound(HUGE[name])
    assert time.monotonic() - began < SECONDS


def test_headers_beyond_the_bound_are_skipped_and_the_body_is_found():
    headers, body = split_headers(b"A: 1\n" + b"X: y\n" * 20_000 + b"\nbody")
    assert headers.get("a") == "1"
    assert body == b"body"


def test_broken_encodings_are_read_as_far_as_they_go():
    (part,) = read_mails(
        b"Content-Type: text/plain; charset=nonsense\nContent-Transfer-Encoding: base64\n\nc2Fyw\xff\n"
    )
    assert part.text().startswith("sar")
    assert decode_text("سلام".encode(), "us-ascii") == "سلام"
    assert decode_text(b"Stra\xdfe", "utf-8") == "Stra\ufffde"
    assert decode_words("=?iso-8859-1?q?Stra=DFe?= =?utf-8?b?2LPZhNin2YU=?=") == "Straßeسلام"
