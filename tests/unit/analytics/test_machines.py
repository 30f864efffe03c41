"""The rules that tell machines' clicks: by what is known of the whole message, in whatever order it became known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from analytics.domain.machines import Click, Rules, judge
from hypothesis import given
from hypothesis import strategies as st

SENT = datetime(2026, 11, 1, 12, tzinfo=UTC)
RULES = Rules()


def click(n, after_s, link=0, told=None, composed=None):
    return Click(UUID(int=n), SENT + timedelta(seconds=after_s), link, told, composed)


def verdicts(*clicks, sent=SENT, rules=RULES):
    return [judge(clicks, sent, rules)[one.event_id] for one in clicks]


@pytest.mark.parametrize(
    ("after_s", "rule"), [(-1, "fast_click"), (0, "fast_click"), (1.499, "fast_click"), (1.5, None), (60, None)]
)
def test_nobody_clicks_within_a_second_and_a_half_of_sending(after_s, rule):
    assert verdicts(click(1, after_s)) == [rule]
    assert verdicts(click(1, after_s, composed=SENT), sent=None) == [rule]
    assert verdicts(click(1, after_s), sent=None) == [None]


@pytest.mark.parametrize(
    ("clicks", "found"),
    [
        ([(10, 0), (10.5, 1), (12, 2)], ["many_links"] * 3),
        ([(10, 0), (10.5, 1), (12.1, 2)], [None] * 3),
        ([(10, 0), (10.5, 1)], [None] * 2),
        ([(10, 0), (10.1, 0), (10.2, 0), (10.3, 1)], [None] * 4),
        ([(10, 0), (11.5, 1), (13, 2), (13.4, 3)], [None, "many_links", "many_links", "many_links"]),
        ([(10, 0), (10, 1), (10, 2), (600, 1)], ["many_links"] * 3 + [None]),
    ],
    ids=["three in two seconds", "three in longer", "two", "one link again and again", "a slow start", "later"],
)
def test_nobody_follows_many_links_within_two_seconds(clicks, found):
    assert verdicts(*(click(n, after_s, link) for n, (after_s, link) in enumerate(clicks))) == found


def test_who_finds_the_hidden_link_made_the_clicks_around_it():
    assert verdicts(
        click(1, 10), click(2, 30, 9, told="hidden_link"), click(3, 89), click(4, 91), click(5, 3600)
    ) == ["hidden_link", "hidden_link", "hidden_link", None, None]  # fmt: skip


def test_the_trackers_word_stands():
    assert verdicts(click(1, 0, told="head"), click(2, 600, told="scanner")) == ["head", "scanner"]


clicks = st.lists(
    st.builds(
        click,
        st.integers(1, 10**9),
        st.floats(-5, 120, allow_nan=False),
        st.integers(0, 4),
        st.sampled_from([None, None, None, "head", "hidden_link"]),
        st.sampled_from([None, SENT]),
    ),
    max_size=12,
    unique_by=lambda one: one.event_id,
)


@given(clicks, st.randoms(use_true_random=False), st.sampled_from([None, SENT]))
def test_the_order_does_not_matter(made, chance, sent):
    shuffled = list(made)
    chance.shuffle(shuffled)
    assert judge(made, sent, RULES) == judge(shuffled, sent, RULES)


@given(clicks, clicks)
def test_more_evidence_never_turns_a_machine_into_a_person(made, more):
    known = {one.event_id for one in made}
    more = [one for one in more if one.event_id not in known]
    before, after = judge(made, None, RULES), judge([*made, *more], SENT, RULES)
    assert all(after[event_id] is not None for event_id, rule in before.items() if rule is not None)


@given(clicks)
def test_rules_that_ask_for_nothing_leave_the_trackers_word_alone(made):
    none = replace(RULES, fast_s=-1e9, burst_links=10**6, hidden_s=-1.0)
    assert judge(made, SENT, none) == {one.event_id: one.told for one in made}
