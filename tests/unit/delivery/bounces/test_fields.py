"""The addresses in the fields of a delivery status report."""

import pytest
from delivery.domain.bounces.fields import address_of
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("rfc822; <ann@example.com>", "ann@example.com"),
        ("rfc822;ann+2Bnews@example.com", "ann+news@example.com"),
        ("rfc822;ann+3Dexample.org@example.com", "ann=example.org@example.com"),
        ("rfc822;ann+news@example.com", "ann+news@example.com"),
        ("rfc822;ann+2b@example.com", "ann+2b@example.com"),
        (r"utf-8;\x{641}\x{631}\x{648}\x{634}@example.com", "فروش@example.com"),
        (r"utf-8; jos\x{E9}\x{2B}news@b\x{FC}cher.example", "josé+news@bücher.example"),
        ("utf-8; فروش@example.com", "فروش@example.com"),
        (
            r"utf-8; a\x{0}b\x{A}\x{20}\x{D800}\x{110000}@example.com",
            r"a\x{0}b\x{A}\x{20}\x{D800}\x{110000}@example.com",
        ),
    ],
)
def test_an_address_is_read_as_its_sender_wrote_it(value, address):
    assert address_of(value) == address


@given(st.text(st.characters(categories=["L", "N"]) | st.sampled_from("!#$%&*+-=?^_`{}~\\"), min_size=1, max_size=40))
def test_what_a_server_escapes_is_read_back(local):
    escaped = "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):02X}}}" for c in local)
    assert address_of(f"utf-8; {escaped}@example.com") == f"{local}@example.com"
