"""Scores: the same events in any order, decay by half, caps, reasons that add up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from analytics.domain.scoring import DEFAULT_GRADES, DEFAULT_RULES, Rule, Scored, decayed, grade_of, score
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 1, tzinfo=UTC)

events = st.lists(
    st.builds(
        Scored,
        event_id=st.uuids(),
        type=st.sampled_from(["email.opened", "email.clicked", "email.unsubscribed", "email.sent"]),
        at=st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    ),
    max_size=60,
)


def test_points_halve_with_each_half_life() -> None:
    assert decayed(10, 0, 30) == 10
    assert decayed(10, 30 * 86_400, 30) == pytest.approx(5)
    assert decayed(10, 60 * 86_400, 30) == pytest.approx(2.5)


def test_an_event_of_the_future_counts_whole_and_no_more() -> None:
    assert decayed(10, -5, 30) == 10


def test_a_rule_gives_no_more_than_its_cap_and_says_so_in_its_reasons() -> None:
    rule = Rule("clicked", "email.clicked", 10, 30, 25)
    clicks = [Scored(UUID(int=n), "email.clicked", NOW) for n in range(5)]
    result = score(clicks, [rule], DEFAULT_GRADES, NOW)
    assert result.value == 25
    assert sum(reason.decayed for reason in result.reasons) == pytest.approx(25, abs=0.01)
    assert {reason.points for reason in result.reasons} == {10}


def test_an_unsubscribe_costs_points() -> None:
    result = score([Scored(UUID(int=1), "email.unsubscribed", NOW)], DEFAULT_RULES, DEFAULT_GRADES, NOW)
    assert result.value == -40
    assert result.grade == "D"


def test_grades_are_reached_at_their_threshold() -> None:
    assert [grade_of(value, DEFAULT_GRADES) for value in (40, 39.9, 20, 5, 4.9)] == ["A", "B", "B", "C", "D"]


@given(events, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(found: list[Scored], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score(found, DEFAULT_RULES, DEFAULT_GRADES, NOW) == score(shuffled, DEFAULT_RULES, DEFAULT_GRADES, NOW)


@given(events)
def test_reasons_add_up_to_the_score(found: list[Scored]) -> None:
    result = score(found, DEFAULT_RULES, DEFAULT_GRADES, NOW)
    assert result.value == pytest.approx(sum(reason.decayed for reason in result.reasons), abs=0.006)


@given(events, st.floats(0, 1000))
def test_no_score_leaves_the_sum_of_the_caps(found: list[Scored], days: float) -> None:
    result = score(found, DEFAULT_RULES, DEFAULT_GRADES, NOW + timedelta(days=days))
    bound = sum(rule.cap for rule in DEFAULT_RULES) + 0.01
    assert -bound <= result.value <= bound
