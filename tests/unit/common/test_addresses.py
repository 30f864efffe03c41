"""What a domain is called in ASCII: the same for a sender, a recipient, a key and a link."""

import pytest
from common.contracts.addresses import InvalidAddress, a_label, joinerless, normalise_address, u_label, visible
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.properties import times


@pytest.mark.parametrize(
    ("domain", "written"),
    [
        ("faß.de", "xn--fa-hia.de"),
        ("straße.de", "xn--strae-oqa.de"),
        ("STRAẞE.de", "xn--strae-oqa.de"),
        ("Σίσυφος.gr", "xn--kxa6ajbbmh.gr"),
        ("نامه\u200cای.com", "xn--mgba3gch31f060k.com"),
        ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
        ("हिन्दी.भारत", "xn--j2bd4cyah0f.xn--h2brj9c"),
        ("BÜCHER.Example", "xn--bcher-kva.example"),
        ("bu\u0308cher。de", "xn--bcher-kva.de"),
        ("bücher.de.", "xn--bcher-kva.de."),
        ("_dmarc.bücher.de", "_dmarc.xn--bcher-kva.de"),
        ("XN--FA-HIA.de", "xn--fa-hia.de"),
        ("_dmarc.Example.COM", "_dmarc.example.com"),
    ],
)
def test_a_domain_is_written_as_idna_2008_wants(domain, written):
    assert a_label(domain) == written
    assert normalise_address(f"a@{domain}") == f"a@{written}"


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("ü" * 64 + ".de", "too long"),
        ("x" * 64 + ".bücher.de", "too long"),
        (".".join(["bücher" * 3] * 12), "too long"),
        ("bücher..de", "empty label"),
        (".bücher.de", "empty label"),
        ("\u00ad", "empty label"),
        ("-bücher.de", "hyphen"),
        ("☃.net", "U\\+2603"),
        ("a\u200cb.com", "U\\+200C"),
        ("٠١٢.com", "directionality"),
    ],
)
def test_what_cannot_be_written_says_why(domain, why):
    with pytest.raises(InvalidAddress, match=why):
        a_label(domain)


@settings(max_examples=times(500), deadline=None)
@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_an_ascii_domain_stays_as_it_is_but_for_its_case(domain):
    assert a_label(domain) == domain.lower()


@settings(max_examples=times(500), deadline=None)
@given(st.text(st.sampled_from("abß-üنامهی\u200c\u200d\u0301नक\u094dς.①\U000e01ef\U000378ff"), min_size=1, max_size=20))
def test_a_written_domain_is_read_back_and_written_the_same(domain):
    try:
        written = a_label(domain)
    except InvalidAddress:
        return
    assert a_label(written) == written
    assert written.isascii()
    assert a_label(u_label(written)) == written
    assert normalise_address(visible(f"a@{domain}")) == normalise_address(f"a@{domain}")


def test_a_label_that_encodes_nothing_is_not_read():
    with pytest.raises(InvalidAddress, match="no A-label"):
        u_label("xn--zzzzzz.de")


@pytest.mark.parametrize(
    ("domain", "judged"),
    [
        ("نامه\u200cای.com", "نامهای.com"),
        ("xn--mgba3gch31f060k.com", "نامهای.com"),
        ("xn--fa-hia.de", "xn--fa-hia.de"),
        ("Shop.test", "Shop.test"),
    ],
)
def test_a_judge_who_knows_no_joiners_is_shown_none(domain, judged):
    assert joinerless(domain) == judged
