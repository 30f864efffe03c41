import email
import email.policy
import quopri
from datetime import datetime, timedelta, timezone

import pytest
from content.headers import HeaderError
from content.mime import MailHeaders, build
from content.quoted import quoted_piece, quoted_printable
from hypothesis import given, settings
from hypothesis import strategies as st

WHEN = datetime(2026, 11, 22, 12, 30, 5, tzinfo=timezone(timedelta(hours=3, minutes=30)))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400) | st.text("سلام \r\n.=_abc\t-", max_size=400)


def headers(**more):
    basics = {
        "from_email": "news@example.org",
        "to_email": "a@example.org",
        "subject": "سلام",
        "message_id": "1@example.org",
    }
    return MailHeaders(**{**basics, "date": WHEN, **more})


def normal(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def bodies(raw):
    message = read(raw)
    parts = list(message.walk()) if message.is_multipart() else [message]
    return [p.get_payload(decode=True).decode() for p in parts if not p.is_multipart()]


@given(texts, texts)
def test_multipart_reads_back_as_written_in_short_crlf_lines(text, html):
    raw = build(headers(), text, html)
    assert [normal(body) for body in bodies(raw)] == [normal(text), normal(html)]
    assert raw.replace(b"\r\n", b"").count(b"\r") == raw.replace(b"\r\n", b"").count(b"\n") == 0
    assert raw.isascii()
    assert b"\n." not in raw
    body = raw.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 76


@given(st.lists(texts, max_size=6))
def test_encoded_pieces_join_to_what_the_whole_would_say(pieces):
    joined = build(headers(), b"".join(map(quoted_piece, pieces)))
    # A carriage return may not be split from its line feed; the renderer's pieces never hold a lone one.
    whole = "".join(normal(piece) for piece in pieces)
    assert normal(bodies(joined)[0]).rstrip("\n") == whole.rstrip("\n")
    assert max(map(len, joined.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76


def test_headers_of_a_campaign_mail():
    mail = read(
        build(
            headers(
                from_name="بريد",
                reply_to="reply@example.org",
                unsubscribe_url="https://x.example/u/t",
                list_id="newsletter.example.org",
                feedback_id="c1:newsletter:campaign:barid",
                language="fa",
                extra={"X-Campaign": "c1"},
            ),
            "text",
            "<p>html</p>",
        )
    )
    assert mail["Date"] == "Sun, 22 Nov 2026 09:00:05 +0000"
    assert mail["Message-ID"] == "<1@example.org>"
    assert mail["MIME-Version"] == "1.0"
    assert mail["Subject"] == "سلام"
    assert mail["From"].addresses[0].display_name == "بريد"
    assert mail["List-Unsubscribe"] == "<https://x.example/u/t>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Id"] == "<newsletter.example.org>"
    assert mail["Precedence"] == "bulk"
    assert mail["Auto-Submitted"] is None
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert len(set(map(str.lower, mail.keys()))) == len(mail.keys())
    assert not mail.defects


def test_only_mail_that_nobody_asked_for_is_auto_submitted():
    assert read(build(headers(kind="auto"), "x"))["Auto-Submitted"] == "auto-generated"
    single = read(build(headers(kind="single"), "x"))
    assert single["Auto-Submitted"] is None
    assert single["Precedence"] is None


@pytest.mark.parametrize("name", ["Bcc", "To", "Subject", "X-A\r\nBcc", "X A", "X-A:", "Content-Type"])
def test_extra_headers_cannot_take_the_place_of_others(name):
    with pytest.raises(HeaderError):
        build(headers(extra={name: "x"}), "text")


def test_a_line_that_looks_like_a_boundary_or_the_end_of_data_stays_content():
    text = "--=_barid_alternative--\n.\n\n--=_barid_alternative\nContent-Type: text/html\n\n<script>"
    assert [normal(body) for body in bodies(build(headers(), text, text))] == [text, text]


@settings(deadline=None)
@given(st.text(".a=\n \t", max_size=300), st.integers(60, 90))
def test_no_line_of_quoted_printable_begins_with_a_dot(text, length):
    for written in (text, "." * length + text, "x" * length + "." + text, "x" * length + " ", "x" * length + "\t\n"):
        for encoded in (quoted_printable(written), quoted_piece(written)):
            assert not encoded.startswith(b".")
            assert b"\n." not in encoded
            assert quopri.decodestring(encoded).decode() == written.replace("\n", "\r\n")
            assert max(map(len, encoded.split(b"\r\n"))) <= 76


@given(texts)
def test_quoted_printable_leaves_no_blank_at_a_line_end(text):
    for line in quoted_printable(text).split(b"\r\n"):
        assert not line.endswith((b" ", b"\t"))
