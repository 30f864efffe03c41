"""Link tokens: what goes in comes out, and nothing else is let in."""

import base64
import hmac
from datetime import UTC, datetime
from uuid import UUID

import pytest
from common.link_tokens import BadToken, LinkToken, TokenKeys
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = TokenKeys({"new": NEW, "old": OLD})
ids = st.uuids().filter(lambda value: value.int != 0)
tokens = st.builds(
    LinkToken,
    purpose=st.sampled_from("ocubh"),
    kind=st.sampled_from(["campaign", "test", "single"]),
    workspace_id=ids,
    message_id=ids,
    contact_id=st.none() | ids,
    campaign_id=st.none() | ids,
    purpose_id=st.none() | ids,
    sent_at=st.integers(0, 2**36).map(lambda s: datetime.fromtimestamp(s, UTC)),
    link=st.integers(0, 65535),
    url=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
)
ONE = LinkToken("c", "campaign", UUID(int=1), UUID(int=2), None, None, None, datetime(2026, 1, 1, tzinfo=UTC), 1, "x")


@given(tokens)
def test_round_trip(token):
    text = KEYS.sign(token)
    assert KEYS.verify(text, token.purpose) == token
    assert text.isascii()
    assert all(c.isalnum() or c in "-_" for c in text)


@given(st.binary(min_size=1, max_size=100), tokens)
def test_the_signature_is_an_hmac_of_all_that_is_said(key, token):
    raw = base64.urlsafe_b64decode(TokenKeys({"k": key}).sign(token) + "==")
    assert raw[-16:] == hmac.digest(key, raw[:-16], "sha256")[:16]


@given(tokens, st.data())
def test_a_changed_character_is_refused(token, data):
    text = KEYS.sign(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_").filter(lambda c: c != text[at]))
    with pytest.raises(BadToken):
        KEYS.verify(text[:at] + other + text[at + 1 :], token.purpose)


@given(tokens, st.sampled_from("ocubh"))
def test_a_token_serves_one_purpose(token, purpose):
    if purpose != token.purpose:
        with pytest.raises(BadToken):
            KEYS.verify(KEYS.sign(token), purpose)


@given(st.text(max_size=400))
def test_rubbish_is_refused_quietly(text):
    with pytest.raises(BadToken):
        KEYS.verify(text, "o")


def test_rotation():
    by_old = TokenKeys({"old": OLD}).sign(ONE)
    assert KEYS.verify(by_old, "c") == ONE
    with pytest.raises(BadToken):
        TokenKeys({"new": NEW}).verify(by_old, "c")
    with pytest.raises(BadToken):
        TokenKeys({"old": NEW}).verify(by_old, "c")


def test_one_text_per_token():
    text = KEYS.sign(ONE)
    for padded in (text + "=", text + "==", text + "A", " " + text):
        with pytest.raises(BadToken):
            KEYS.verify(padded, "c")
