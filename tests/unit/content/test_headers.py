import email
import email.policy
import re
from datetime import UTC, datetime

import pytest
from content import headers as h
from content.mime import MailHeaders, build
from hypothesis import given
from hypothesis import strategies as st

BREAKERS = ["\r\n", "\n", "\r", "\x00", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1b"]
CONTROLS = "".join(map(chr, [*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029]))
free_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS), max_size=300)
arabic = st.text("سلامعلیکمأهلاًوسهلابک‌گپچژ ۱۲۳،؟ABCxyz🎉👨‍👩‍👧é\u200f\u2068\u2069=?_", max_size=300)


def parsed(line: bytes) -> email.message.Message:
    return email.message_from_bytes(line + b"\r\n", policy=email.policy.default)


def unfolded_lines(line: bytes) -> list[bytes]:
    assert line.endswith(b"\r\n")
    assert b"\r" not in line.replace(b"\r\n", b"")
    assert b"\n" not in line.replace(b"\r\n", b"")
    return line[:-2].split(b"\r\n")


@given(free_text | arabic)
def test_unstructured_round_trips_any_text_in_short_lines(value):
    line = h.unstructured("Subject", value)
    first, *more = unfolded_lines(line)
    assert first.startswith(b"Subject: ")
    assert all(folded.startswith(b" ") and folded.strip() for folded in more)
    assert max(map(len, [first, *more])) <= 78
    decoded = email.header.decode_header(line.decode("ascii")[9:-2])
    text = "".join(part.decode(charset or "ascii") if isinstance(part, bytes) else part for part, charset in decoded)
    assert text.replace("\r\n ", " ") == value


def test_unstructured_is_read_back_by_the_standard_parser_when_arabic_persian_or_emoji():
    for value in [
        "سلام علی، حالت چطور است؟ " * 8,
        "أهلًا بك في بريد",
        "Sale 🎉 50% = off",
        "=?utf-8?q?evil?=",
        "a" * 900,
    ]:
        assert parsed(h.unstructured("Subject", value))["Subject"].strip() == value.strip()


@given(free_text, st.sampled_from(BREAKERS), free_text)
def test_every_encoder_refuses_what_could_end_a_line(before, breaker, after):
    value = before + breaker + after
    attempts = [
        lambda: h.unstructured("Subject", value),
        lambda: h.address("To", "a@example.org", "x" + value + "x"),
        lambda: h.address("To", f"a{breaker}@example.org"),
        lambda: h.address("To", f"a@example.org{breaker}"),
        lambda: h.message_id(f"id{breaker}@example.org"),
        lambda: h.list_unsubscribe(f"https://example.org/{breaker}"),
        lambda: h.list_id(f"news{breaker}.example.org"),
        lambda: h.list_id("news.example.org", "x" + value + "x"),
        lambda: h.feedback_id(f"a:b:c:sender{breaker}"),
    ]
    for attempt in attempts:
        with pytest.raises(h.HeaderError):
            attempt()


@given(st.text(max_size=60))
def test_header_block_never_gains_a_line_whatever_the_name(name):
    fixed = {"from_email": "n@example.org", "to_email": "a@example.org", "subject": "x", "message_id": "i@example.org"}
    when = datetime(2026, 11, 22, tzinfo=UTC)
    expected = len(parsed(build(MailHeaders(**fixed, date=when), "x")).keys())
    try:
        mail = build(MailHeaders(**fixed, date=when, from_name=name), "x")
    except h.HeaderError:
        return
    assert len(parsed(mail).keys()) == expected


@pytest.mark.parametrize(
    ("email_", "name", "shown"),
    [
        ("a@example.org", None, "To: a@example.org"),
        ("a@example.org", "Ali Reza", "To: Ali Reza <a@example.org>"),
        ("a@example.org", 'Q. "Smith", Inc', 'To: "Q. \\"Smith\\", Inc" <a@example.org>'),
        ("news@مثال.إختبار", None, "To: news@xn--mgbh0fb.xn--kgbechtv"),
        ("a@faß.de", None, "To: a@xn--fa-hia.de"),
        ("a@نامه\u200cای.com", None, "To: a@xn--mgba3gch31f060k.com"),
        ("a@हिन्दी.भारत", None, "To: a@xn--j2bd4cyah0f.xn--h2brj9c"),
        ("first last@example.org", None, 'To: "first last"@example.org'),
    ],
)
def test_address_is_written_as_rfc_5322_wants(email_, name, shown):
    assert h.address("To", email_, name) == shown.encode() + b"\r\n"


@given(free_text | arabic)
def test_display_name_reads_back(name):
    name = " ".join(name.split())
    line = h.address("To", "someone@example.org", name)
    assert all(len(part) <= 78 for part in unfolded_lines(line))
    field = parsed(line)["To"]
    assert field.addresses[0].addr_spec == "someone@example.org"
    assert not field.defects
    raw = re.sub(r"\s*<someone@example\.org>$", "", line.decode()[4:-2])
    if raw.startswith("=?"):
        assert "".join(p.decode(c) for p, c in email.header.decode_header(raw)) == name
    else:
        assert field.addresses[0].display_name == name or not name or name == "someone@example.org"


def test_local_part_beyond_ascii_needs_smtputf8():
    with pytest.raises(h.HeaderError, match="SMTPUTF8"):
        h.address("To", "علی@example.org")
    assert h.address("To", "علی@مثال.com", smtputf8=True) == "To: علی@xn--mgbh0fb.com\r\n".encode()


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a",
        "@x.org",
        "a@",
        "a@b c.org",
        "a@x.org>, <b@x.org",
        "a@x.org,b@y.org",
        '"a"b"@x.org',
        "a@bücher.de,b@y.org",
        "a@bücher.de>",
        "a@bü cher.de",
        "a@\u00ad",
        "a@[1.2.3.4",
    ],
)
def test_address_refuses_what_is_none_or_more_than_one(bad):
    with pytest.raises(h.HeaderError):
        h.address("To", bad)


def test_one_click_headers():
    lines = h.list_unsubscribe("https://x.example/u/abc", "unsub@x.example")
    assert lines == (
        b"List-Unsubscribe: <https://x.example/u/abc>,\r\n <mailto:unsub@x.example>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    for bad in ["javascript:alert(1)", "https://x.example/>,<https://evil.example", "ftp://x.example", "https://x y"]:
        with pytest.raises(h.HeaderError):
            h.list_unsubscribe(bad)


def test_list_id_and_feedback_id():
    assert h.list_id("news.x.example", "News") == b'List-Id: "News"\r\n <news.x.example>\r\n'
    assert "خبرنامه" in parsed(h.list_id("news.x.example", "خبرنامه"))["List-Id"]
    assert h.feedback_id("c1:news:campaign:barid") == b"Feedback-ID: c1:news:campaign:barid\r\n"
    for bad in ["a:b:c", "a:b:c:d", "a:b:c:" + "x" * 16, "a:b:c:سلام۱۲"]:
        with pytest.raises(h.HeaderError):
            h.feedback_id(bad)
