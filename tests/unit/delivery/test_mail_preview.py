"""What is shown of a mail that nobody could read: plain and short, whatever its bytes."""

import unicodedata

import pytest
from delivery.domain.mail_preview import MOST_CHARS, MOST_LINES, preview
from hypothesis import example, given
from hypothesis import strategies as st


def test_who_wrote_what_and_how_it_begins():
    shown = preview(
        b"From: =?utf-8?q?Al=C3=AD?= <a@x.test>\r\nSubject: one\r\n two\r\n\r\n\r\nfirst\r\n\r\n second \r\n"
    )
    assert (shown.author, shown.subject, shown.lines) == ("Alí <a@x.test>", "one two", ("first", "second"))


@pytest.mark.parametrize(
    ("head", "author"),
    [
        (b"", ""),
        (b"no header at all", ""),
        (b"From: a\nFrom: b\n\n", "a"),
        (b"from : a\n\nFrom: in the body", ""),
        (b"From: =?x-nothing?b?!!?=\n\n", "=?x-nothing?b?!!?="),
        (b"From: \xff\xfe\x00\x1b[2Jred\n\n", "\ufffd\ufffd [2Jred"),
        ("From: \u202egnp.exe\u2066x\n\n".encode(), "gnp.exe x"),
        ("From: می\u200cروم\n\n".encode(), "می\u200cروم"),
    ],
    ids=["empty", "no header", "twice", "space", "unknown charset", "control", "direction", "joiner"],
)
def test_only_what_is_safe_to_show(head, author):
    assert preview(head).author == author


@given(
    st.binary(max_size=600)
    | st.text(max_size=200).map(lambda text: f"Subject: {text}\n\n{text}".encode("utf-8", "replace"))
)
@example(b"Subject: =?utf-8?b?" + b"A" * 3000 + b"?=\n\n")
@example(b"From:\n" + b" \n" * 1000)
def test_nothing_breaks_it(head):
    shown = preview(head)
    assert len(shown.lines) <= MOST_LINES
    for text in (shown.author, shown.subject, *shown.lines):
        assert len(text) <= MOST_CHARS
        assert all(c in "\u200c\u200d" or unicodedata.category(c)[0] != "C" for c in text)
