from uuid import UUID

import pytest
from common.contracts.addresses import address_hash, normalise_address
from contacts.domain.addresses import Addresses, NotAnAddress
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.properties import times

PEPPER = b"p" * 32
WORKSPACE = UUID("01890000-0000-7000-8000-000000000001")

ATOMS = "abcXYZ019_!#$%&'*+-/=?^`{|}~"
UNUSUAL = 'علیي۱٢é中ßİ"(),:;<>[\\] \u0301\u00a0\u2028𝒳.@'
LOCALS = st.text(st.sampled_from(ATOMS + UNUSUAL), max_size=70)
DOMAINS = st.sampled_from(
    ["example.com", "EXAMPLE.org", "شرکت.example", "bücher.de", "xn--bcher-kva.de", "-x.com", "x..com", "x", "a_b.com",
     "faß.de", "ex ample.com", "x.com.", ".x.com", "1.2.3.4", "[127.0.0.1]", "test", "mail.test", "localhost",
     "a.local", "münchen-ost.de", "x.c", "x.1", "ab--cd.com", "x" * 64 + ".com", ("x" * 60 + ".") * 4 + "com",
     "ＷＩＤＥ.com", "STRASSE.de", "Straße.de", "Σίσυφος.gr", "हिन्दी.भारत", "☃.net", "bücher。de",
     "bücher..de", "٠١٢.com"]
)  # fmt: skip


def _library_takes(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        return False
    return True


def _we_take(text: str) -> bool:
    try:
        Addresses(PEPPER, WORKSPACE).read(text)
    except NotAnAddress:
        return False
    return True


@settings(max_examples=times(1500), deadline=None)
@given(LOCALS, DOMAINS)
def test_an_address_is_taken_when_the_library_takes_it(local: str, domain: str) -> None:
    text = f"{local}@{domain}".strip()
    assert _we_take(text) == _library_takes(text)


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("  Person1@Gmail.com ", "Person1@Gmail.com"),
        ("\u200bperson@example.com", "person@example.com"),
        ("علی@شرکت.example", "علی@شرکت.example"),
        ("a\u200cb@example.com", "ab@example.com"),
        ("a@exam\u200cple.com\u200c ", "a@example.com"),
        ("علی@نامه\u200cای.com", "علی@نامه\u200cای.com"),
        ("a@xn--mgba3gch31f060k.com", "a@xn--mgba3gch31f060k.com"),
        ("a@straße.de", "a@straße.de"),
    ],
)
def test_identity_and_hash_are_those_of_the_contract(text: str, email: str) -> None:
    address = Addresses(PEPPER, WORKSPACE).read(text)
    assert address.email == email
    assert address.normalised == normalise_address(text)
    assert address.hash.hex() == address_hash(PEPPER, WORKSPACE, address.normalised)
    domain = address.normalised.split("@")[1]
    assert address.domain_hash.hex() == address_hash(PEPPER, WORKSPACE, domain)
    assert Addresses(PEPPER, WORKSPACE).read_domain(f"@{domain}") == address.domain_hash


@settings(max_examples=times(300), deadline=None)
@given(LOCALS, DOMAINS)
def test_identity_agrees_with_the_contract_wherever_we_take_an_address(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    if _we_take(text):
        assert Addresses(PEPPER, WORKSPACE).read(text).normalised == normalise_address(text)


@pytest.mark.parametrize("domain", ["faß.de", "Σίσυφος.gr", "हिन्दी.भारत", "شرکت.example", "ＷＩＤＥ.com", "München.DE"])
def test_a_domain_is_what_the_library_says_it_is(domain: str) -> None:
    seen = validate_email(f"a@{domain}", check_deliverability=False, test_environment=True)
    assert Addresses(PEPPER, WORKSPACE).read(f"a@{domain}").normalised == f"a@{seen.ascii_domain}"


def test_a_joiner_makes_another_domain_only_where_it_joins() -> None:
    addresses = Addresses(PEPPER, WORKSPACE)
    joined = addresses.read("a@نامه\u200cای.com")
    assert joined.normalised == "a@xn--mgba3gch31f060k.com"
    assert joined.normalised != addresses.read("a@نامهای.com").normalised
    assert addresses.read("a@\u200cنامه\u200c\u200cای\u200c.com").normalised == joined.normalised


def test_arabic_and_persian_letters_are_different_people() -> None:
    addresses = Addresses(PEPPER, WORKSPACE)
    assert addresses.read("علي@example.com").normalised != addresses.read("علی@example.com").normalised


@pytest.mark.parametrize(
    "text",
    ["u@x.com\r\nBcc: a@b.c", "u@x.com\n", "u\x00@x.com", "u\r@x.com", "u\u2028@x.com",
     "user", "user@", "@x.com", "a@@x.com", "a b@x.com", ""],
)  # fmt: skip
def test_broken_addresses_and_line_breaks_are_refused(text: str) -> None:
    assert not _we_take(text)
