"""Macros of SPF: the examples of RFC 7208 §7.4, and that no text breaks their reader."""

from ipaddress import ip_address
from time import perf_counter

import pytest
from delivery.domain.spf_macros import MOST_CHARS, Told, asks_for_name, expand, is_spec
from hypothesis import given
from hypothesis import strategies as st

FOUR = Told(ip_address("192.0.2.3"), "email.example.com", "strong-bad@email.example.com", "mx.example.org")
SIX = Told(ip_address("2001:db8::cb01"), "email.example.com", "strong-bad@email.example.com", "mx.example.org")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
    ],
)
def test_the_examples_of_the_rfc(text, meaning):
    assert is_spec(text)
    assert expand(text, FOUR) == meaning


def test_the_example_of_the_rfc_for_ipv6():
    nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert expand("%{ir}.%{v}._spf.%{d2}", SIX) == f"{nibbles}.ip6._spf.example.com"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("%{h}", "mx.example.org"),
        ("%{p}.x.test", "unknown.x.test"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{DR}", "com.example.email"),
        ("%{l1R-}", "strong"),
        ("%{s2r-@}", "%{s2r-@}"),  # @ is no delimiter
        ("%{d.-}", "email.example.com"),
        ("%{l+,/_=-}", "strong.bad"),
        ("a%%b%_c%-d.test", "a%b c%20d.test"),
        ("%{d99999999999999999999}", "email.example.com"),
        ("%{d01}", "com"),
    ],
)
def test_letters_in_either_case_delimiters_and_escapes(text, meaning):
    assert expand(text, FOUR) == meaning


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("example.com", True), ("example.com.", True), ("a.b-1", True), ("a.1-b", True), ("%{d}", True),
        ("x%{d}", True), ("x.%%", True), ("com", False), ("", False), ("a..", False), ("a.1", False), ("a.-b", False),
        ("a.b-", False),
        ("%", False), ("%{d", False), ("%{d}x", False), ("%{d}.x", True), ("%{d0}", False), ("%{d00}", False),
        ("%{dd}", False), ("%{c}", False), ("%{r}.a", False), ("%{t}", False), ("%(d)", False), ("a b.test", False),
        ("é.test", False), ("a." + "b" * 63, True), ("a." + "b" * 64, False), ("a.test\n", False),
    ],
)  # fmt: skip
def test_what_is_a_name_and_what_is_not(text, right):
    assert is_spec(text) is right


def test_a_name_too_long_loses_labels_from_the_left():
    told = Told(FOUR.address, ".".join(["label"] * 40), "a@b.test", "h.test")
    found = expand("%{d}.%{d}.end.test", told)
    assert len(found) <= MOST_CHARS < len(found) + len("label.")
    assert found.startswith("label.")
    assert found.endswith(".end.test")


def test_only_some_records_ask_for_a_name():
    assert asks_for_name("%{P2r}.x")
    assert not asks_for_name("%{d}.p.%%{x}%p")


@given(st.text(max_size=60) | st.lists(st.sampled_from("%{}sldiphvSL0129r-./@ "), max_size=40).map("".join))
def test_no_text_breaks_it(text):
    for told in (FOUR, SIX):
        if is_spec(text):
            assert len(expand(text, told)) <= MOST_CHARS or "." not in expand(text, told)[-MOST_CHARS - 1 :]


@pytest.mark.parametrize(
    "text", ["a" * 60_000, "%{d}" * 15_000, "a." * 30_000 + "!", "%{" * 30_000, "%" + "9" * 60_000]
)
def test_no_length_takes_long(text):
    started = perf_counter()
    if is_spec(text):
        expand(text, FOUR)
    assert perf_counter() - started < 2
