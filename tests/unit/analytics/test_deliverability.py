"""Figures into advice: from thresholds, with a reason and a next step, and none where there is nothing to say."""

from collections import Counter

import pytest
from analytics.domain.deliverability import LEAST, Figures, recommend
from hypothesis import given
from hypothesis import strategies as st


def figures(provider="gmail", sent=10_000, **more):
    failed = more.pop("failed", 0)
    given = {"delivered": sent, "opened": sent // 4, **more}
    return Figures(provider=provider, sent=sent, failed=failed, **given)


def codes(one, *others):
    return {found.code: found.severity for found in recommend(one, [one, *others])}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, {}),
        ({"complained": 9}, {}),
        ({"complained": 10}, {"complaints": "watch"}),
        ({"complained": 30}, {"complaints": "act"}),
        ({"bounced": Counter(bad_mailbox=199)}, {}),
        ({"bounced": Counter(bad_mailbox=150, bad_domain=50)}, {"bad_addresses": "watch"}),
        ({"bounced": Counter(bad_mailbox=500)}, {"bad_addresses": "act"}),
        ({"bounced": Counter(mailbox_full=300)}, {"full_mailboxes": "watch"}),
        ({"bounced": Counter(policy=99)}, {}),
        ({"bounced": Counter(policy=100)}, {"refused_by_policy": "act"}),
        ({"deferred": 999}, {}),
        ({"deferred": 1000}, {"deferred": "watch"}),
    ],
    ids=str,
)
def test_each_threshold(change, found):
    assert codes(figures(**change)) == found


def test_mail_that_is_opened_elsewhere_and_not_here_is_seldom_seen():
    assert codes(figures(opened=1000), figures("yahoo", opened=2500)) == {"seldom_seen": "watch"}
    assert codes(figures(opened=1300), figures("yahoo", opened=2500)) == {}
    assert codes(figures(opened=0), figures("yahoo", opened=300)) == {}, (
        "nobody opens anywhere, or opens are not tracked"
    )
    assert codes(figures(opened=0), figures("yahoo", sent=100, opened=100)) == {}, "too few to compare with"


def test_few_messages_say_nothing():
    few = figures(sent=LEAST - 1, complained=50)
    assert codes(few) == {"too_few": "info"}
    assert codes(Figures("gmail")) == {}


amounts = st.integers(0, 10**6)


@given(st.lists(st.builds(
    Figures, st.sampled_from(["gmail", "yahoo", "other"]), amounts, amounts, amounts, amounts, amounts,
    st.dictionaries(st.sampled_from(["bad_mailbox", "policy", "mailbox_full", "x"]), amounts).map(Counter), amounts,
    amounts), min_size=1, max_size=4))  # fmt: skip
def test_any_figures_give_whole_sentences_the_urgent_first(made):
    for one in made:
        found = recommend(one, made)
        order = [("act", "watch", "info").index(each.severity) for each in found]
        assert order == sorted(order)
        assert len({each.code for each in found}) == len(found)
        for each in found:
            assert each.why.endswith(".")
            assert each.next_step.endswith(".")
            assert one.provider in each.what
