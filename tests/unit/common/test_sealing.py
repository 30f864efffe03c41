"""Sealing: what goes in comes out at its own place only, and nothing else is let in."""

import base64
import os

import pytest
from common.errors import Misconfigured
from common.production import no_default_secrets
from common.sealing import CannotOpen, Sealer
from common.settings import DEVELOPMENT_SEALING_KEYS, load
from delivery.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = os.urandom(32), os.urandom(32)
RING = Sealer({"new": NEW, "old": OLD})
plains, contexts = st.binary(max_size=3000), st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(plains, contexts)
def test_round_trip(plain, context):
    sealed = RING.seal(plain, context)
    assert RING.open(sealed, context) == plain
    assert sealed.startswith(RING.header)
    assert len(plain) < 4 or plain not in sealed


@given(plains, contexts)
def test_the_same_twice_looks_different(plain, context):
    assert RING.seal(plain, context) != RING.seal(plain, context)


@given(plains, contexts, contexts)
def test_another_place_does_not_open_it(plain, context, other):
    if context == other:
        return
    with pytest.raises(CannotOpen, match="another place"):
        RING.open(RING.seal(plain, context), other)


@given(plains, contexts, st.data())
def test_no_byte_of_it_can_be_changed(plain, context, data):
    sealed = bytearray(RING.seal(plain, context))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        RING.open(bytes(sealed), context)


@given(plains, contexts, st.data())
def test_no_part_of_it_opens(plain, context, data):
    sealed = RING.seal(plain, context)
    with pytest.raises(CannotOpen):
        RING.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], context)


@given(st.binary(max_size=200), contexts)
def test_nothing_but_what_was_sealed_opens(raw, context):
    with pytest.raises(CannotOpen):
        RING.open(raw, context)


@given(plains, contexts)
def test_an_old_key_opens_and_no_longer_seals(plain, context):
    by_old = Sealer({"old": OLD}).seal(plain, context)
    assert RING.open(by_old, context) == plain
    assert not by_old.startswith(RING.header)
    with pytest.raises(CannotOpen, match="'old', which BARID_SEALING_KEYS has no more"):
        Sealer({"new": NEW}).open(by_old, context)
    with pytest.raises(CannotOpen, match="another key"):
        Sealer({"old": NEW}).open(by_old, context)


def test_a_key_under_another_id_does_not_open():
    sealed = bytearray(Sealer({"a": NEW}).seal(b"x", "c"))
    sealed[2:3] = b"b"
    with pytest.raises(CannotOpen):
        Sealer({"b": NEW}).open(bytes(sealed), "c")


@pytest.fixture
def settings(monkeypatch):
    def make(environment: str, value: str) -> Settings:
        monkeypatch.setenv("BARID_ENV", environment)
        monkeypatch.setenv("BARID_SEALING_KEYS", value)
        return load(Settings)

    return make


def test_development_has_a_key_that_production_refuses(settings):
    assert list(settings("local", "").sealing_key_ring()) == ["development"]
    with pytest.raises(Misconfigured, match="BARID_SEALING_KEYS is not set"):
        settings("production", "").sealing_key_ring()
    with pytest.raises(Misconfigured, match="BARID_SEALING_KEYS is typed text"):
        no_default_secrets(settings("production", DEVELOPMENT_SEALING_KEYS))
    good = f"new:{base64.b64encode(NEW).decode()},old:{base64.b64encode(OLD).decode()}"
    no_default_secrets(settings("production", good))
    assert settings("production", good).sealing_key_ring() == {"new": NEW, "old": OLD}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("k1", "must be the base64"),
        ("k1:c2hvcnQ=", "must be the base64"),
        ("k1:%%%", "is not base64"),
        (f":{base64.b64encode(bytes(32)).decode()}", "must hold <key id>"),
        (f"k1:{base64.b64encode(bytes(33)).decode()}", "must hold <key id>"),
        (f"{'k' * 256}:{base64.b64encode(bytes(32)).decode()}", "must hold <key id>"),
        (f"k:{base64.b64encode(bytes(32)).decode()},k:{base64.b64encode(bytes(32)).decode()}", "two keys k"),
    ],
    ids=["no key", "short", "not base64", "no id", "33 bytes", "long id", "an id twice"],
)
def test_a_wrong_ring_is_one_line_that_names_the_setting(settings, value, why):
    with pytest.raises(Misconfigured) as refused:
        settings("local", value).sealing_key_ring()
    assert "BARID_SEALING_KEYS" in refused.value.message
    assert why in refused.value.message
    assert "\n" not in refused.value.message
