"""The DNS tree walk of RFC 9989: who the organization is, which record applies, what is aligned."""

from itertools import pairwise

import pytest
from delivery.domain.dmarc import aligned, discover, only_record, parse, walk
from hypothesis import given
from hypothesis import strategies as st

labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
names = st.lists(labels, min_size=1, max_size=30).map(".".join)


def found(domain, **records):
    """discover, with records by name (`_` for a dot)."""
    there = {name.replace("_", "."): parse(text) for name, text in records.items()}
    return discover(domain, {name: there.get(name) for name in walk(domain)})


@given(names)
def test_the_walk_asks_at_most_eight_names_from_the_domain_to_the_top(domain):
    asked = walk(domain)
    assert asked[0] == domain
    assert asked[-1] == domain.rpartition(".")[2]
    assert len(asked) <= 8
    assert all(domain.endswith(name) for name in asked)
    assert all(one.partition(".")[2] == other for one, other in pairwise(asked[1:]))
    assert domain.count(".") >= 8 or asked == [".".join(domain.split(".")[n:]) for n in range(len(asked))]


def test_the_walk_of_a_long_name_goes_on_with_seven_labels():
    assert walk("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
        "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "records", "at", "organization"),
    [
        ("example.com", {}, None, "example.com"),
        ("example.com", {"example_com": "v=DMARC1; p=reject"}, "example.com", "example.com"),
        ("a.mail.example.com", {"mail_example_com": "v=DMARC1;p=none", "example_com": "v=DMARC1;p=none"},
         "example.com", "example.com"),  # what stands between domain and organization does not apply
        ("a.mail.example.com", {"com": "v=DMARC1; psd=y; p=reject"}, "com", "example.com"),
        ("example.com", {"com": "v=DMARC1; psd=y"}, "com", "example.com"),
        ("a.example.com", {"a_example_com": "v=DMARC1; psd=n", "example_com": "v=DMARC1"}, "a.example.com",
         "a.example.com"),
        ("b.a.example.com", {"a_example_com": "v=DMARC1; psd=n", "example_com": "v=DMARC1"}, "a.example.com",
         "a.example.com"),
        ("a.co.uk", {"co_uk": "v=DMARC1; psd=y", "a_co_uk": "v=DMARC1; p=none"}, "a.co.uk", "a.co.uk"),
        ("co.uk", {"co_uk": "v=DMARC1; psd=y"}, "co.uk", "co.uk"),  # psd=y says nothing where the walk starts
        ("a.b.c.d.e.f.g.h.example.com", {"example_com": "v=DMARC1"}, "example.com", "example.com"),
        ("a.b.c.d.e.f.g.h.example.com", {"d_e_f_g_h_example_com": "v=DMARC1; psd=y"}, "d.e.f.g.h.example.com",
         "c.d.e.f.g.h.example.com"),
        ("a.example.com", {"com": "v=DMARC1; p=none"}, "com", "com"),  # a top-level domain that does not say psd=y
    ],
    ids=["nothing", "own", "between", "psd above", "psd alone", "psd=n own", "psd=n above", "own below psd", "psd own",
         "long", "long psd", "careless top"],
)  # fmt: skip
def test_the_record_and_the_organization(domain, records, at, organization):
    result = found(domain, **records)
    assert (result.at, result.organization) == (at, organization)


@given(names)
def test_without_any_record_every_domain_is_its_own_organization(domain):
    assert discover(domain, {}).organization == domain


@given(names, st.sampled_from(["v=DMARC1; p=none", "v=DMARC1; psd=n", "v=DMARC1; psd=y"]), st.data())
def test_the_organization_is_the_domain_or_above_it(domain, text, data):
    at = data.draw(st.sampled_from(walk(domain)))
    result = discover(domain, {at: parse(text)})
    assert domain == result.organization or domain.endswith("." + result.organization)


@pytest.mark.parametrize(
    ("sender", "other", "strict", "holds"),
    [
        ("shop.test", "shop.test", True, True),
        ("news.shop.test", "shop.test", False, True),
        ("shop.test", "bounces.shop.test", False, True),
        ("a.shop.test", "b.shop.test", False, True),
        ("news.shop.test", "shop.test", True, False),
        ("shop.test", "evilshop.test", False, False),
        ("own.shop.test", "shop.test", False, False),
    ],
)
def test_alignment(sender, other, strict, holds):
    records = {"shop_test": "v=DMARC1; p=none", "own_shop_test": "v=DMARC1; p=none; psd=n"}
    assert aligned(found(sender, **records), sender, found(other, **records), other, strict=strict) is holds


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1; p=reject", "reject"),
        ("v=DMARC1;p=Quarantine;sp=none", "quarantine"),
        ("v = DMARC1 ; p = none", "none"),
        ("v=DMARC1", "none"),
        ("v=DMARC1; p=bogus; rua=mailto:x@y.test", "none"),
        ("v=DMARC1; x-unknown=1; p=reject; p=none", "reject"),
        ("v=dmarc1; p=reject", None),
        ("v=DMARC10; p=reject", None),
        ("p=reject; v=DMARC1", None),
        ("v=spf1 -all", None),
        ("", None),
    ],
)
def test_a_record_begins_with_its_version_and_unknown_tags_mean_nothing(text, policy):
    record = parse(text)
    assert (record.applied().policy if record else None) == policy


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text):
    for given_text in (text, "v=DMARC1;" + text):
        record = parse(given_text)
        assert record is None or record.applied(below=True, exists=False).policy in {"none", "quarantine", "reject"}


def test_of_two_records_none_counts():
    assert only_record(["v=DMARC1; p=none", "v=DMARC1; p=reject"]) is None
    assert only_record(["hello", "v=DMARC1; p=reject"]).applied().policy == "reject"


@pytest.mark.parametrize(
    ("text", "own", "below", "nowhere"),
    [
        ("v=DMARC1; p=none", ("none", "p"), ("none", "p"), ("none", "p")),
        ("v=DMARC1; p=none; sp=reject", ("none", "p"), ("reject", "sp"), ("reject", "sp")),
        ("v=DMARC1; p=reject; sp=none", ("reject", "p"), ("none", "sp"), ("none", "sp")),
        ("v=DMARC1; p=none; np=reject", ("none", "p"), ("none", "p"), ("reject", "np")),
        ("v=DMARC1; p=none; SP=Quarantine; np=REJECT", ("none", "p"), ("quarantine", "sp"), ("reject", "np")),
        ("v=DMARC1; sp=reject", ("none", "p"), ("none", "p"), ("none", "p")),  # p is lacking
        ("v=DMARC1; p=reject; sp=bogus", ("none", "p"), ("none", "p"), ("none", "p")),
    ],
)
def test_a_subdomain_has_the_policy_of_sp_and_one_that_is_not_there_of_np(text, own, below, nowhere):
    record = parse(text)
    found = record.applied(), record.applied(below=True), record.applied(below=True, exists=False)
    assert [(one.policy, one.tag) for one in found] == [own, below, nowhere]


@pytest.mark.parametrize(("policy", "instead"), [("reject", "quarantine"), ("quarantine", "none"), ("none", "none")])
def test_a_policy_under_test_asks_for_one_level_less(policy, instead):
    assert parse(f"v=DMARC1; p={policy}; t=Y").testing
    assert parse(f"v=DMARC1; p={policy}").applied().under_test == instead
    assert not parse(f"v=DMARC1; p={policy}; t=maybe").testing
