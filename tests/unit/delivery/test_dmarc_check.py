"""What the check says of a DMARC record: which policy applies, and by which tag of which record."""

import pytest
from delivery.domain.domain_checks import judge_dmarc


def judged(text, domain="news.example.com", at="example.com", *, exists=True):
    texts = {name: [] for name in ("news.example.com", "example.com", "com")}
    return judge_dmarc(domain, texts | {at: [text]}, exists=exists)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("v=DMARC1; p=none; sp=reject", "The policy is reject: sp of the record at _dmarc.example.com."),
        ("v=DMARC1; p=reject; sp=none", "The policy is none: sp of the record at _dmarc.example.com."),
        ("v=DMARC1; p=reject", "The policy is reject: p of the record at _dmarc.example.com, which has no sp."),
        ("v=DMARC1; p=none; np=reject", "The policy is none: p of the record at _dmarc.example.com, which has no sp."),
        (
            "v=DMARC1; p=reject; t=y",
            (
                "The policy is reject: p of the record at _dmarc.example.com, which has no sp."
                " It is only being tested (t=y): receivers are asked to act as under quarantine."
            ),
        ),
        (
            "v=DMARC1; p=reject; sp=quarantine; t=y",
            (
                "The policy is quarantine: sp of the record at _dmarc.example.com."
                " It is only being tested (t=y): receivers are asked to act as under none."
            ),
        ),
        ("v=DMARC1; p=reject; sp=none; t=y", "The policy is none: sp of the record at _dmarc.example.com."),
    ],
)
def test_a_subdomain_without_a_record_is_told_the_policy_for_subdomains(text, detail):
    found = judged(text)
    assert (found.status, found.detail, found.found) == ("ok", detail, (text,))


def test_a_record_of_its_own_counts_by_p():
    found = judged("v=DMARC1; p=quarantine; sp=none; np=reject", at="news.example.com")
    assert (found.status, found.detail) == (
        "ok", "The policy is quarantine: p of the record at _dmarc.news.example.com.",
    )  # fmt: skip


def test_np_counts_until_the_domain_is_in_the_dns():
    found = judged("v=DMARC1; p=quarantine; sp=none; np=reject", exists=False)
    assert (found.status, found.detail) == (
        "ok",
        (
            "The policy is reject: np of the record at _dmarc.example.com."
            " np counts while news.example.com is not in the DNS; then it is none, by sp."
        ),
    )


@pytest.mark.parametrize(
    ("text", "tags", "unread"),
    [
        ("v=DMARC1; rua=mailto:d@example.com", "p", False),
        ("v=DMARC1; p=bogus", "p", True),
        ("v=DMARC1; p=reject; sp=bogus; np=no; rua=mailto:d@example.com", "sp and np", False),
    ],
)
def test_a_tag_that_says_no_policy_is_named(text, tags, unread):
    found = judged(text)
    assert found.status == "warning"
    assert found.detail.startswith(f"{tags} of the record at _dmarc.example.com must say none, quarantine or reject")
    assert ("no record" in found.detail) is unread


def test_tags_that_receivers_ignore_are_named_beside_the_policy():
    found = judged("v=DMARC1; p=none; sp=reject; pct=20")
    assert found.status == "warning"
    assert found.detail.startswith("The policy is reject: sp of")
    assert "ignore pct since RFC 9989" in found.detail
