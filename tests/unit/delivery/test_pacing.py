"""The algebra of limits: whoever takes slots, and when, no span of time has more than the limit allows."""

from bisect import bisect_left
from collections import Counter
from random import Random
from uuid import UUID

import pytest
from delivery.domain.pacing import (
    AHEAD_S,
    FIRST_PAUSE_S,
    GROW_S,
    LATE_S,
    LEAST_RATE,
    MOST_PAUSE_S,
    Pace,
    Shares,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_800_000_000.0
RNG = Random(5)

# Claims of any number of mailers, in the order in which they hold the budget: how much later than the one before,
# how many messages there are, and how late in its slot each is sent.
CLAIMS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200), st.floats(0, LATE_S)), min_size=1, max_size=60)


def played(rate, claims):
    """When messages are sent, in seconds, over a history of claims."""
    pace, now, sent = Pace(), NOW, []
    for later, wanted, late in claims:
        now += later
        n = min(wanted, pace.slots(now, rate))
        pace, slots = pace.taken(now, rate, n)
        sent += [slot - NOW + late for slot in slots]
    return sorted(sent)


@given(rate=st.floats(0.05, 2000), claims=CLAIMS)
def test_no_span_of_time_has_more_than_the_limit(rate, claims):
    # Message j comes after i: j - i + 1 of them in s[j] - s[i] seconds. Said of each alone, and of the least so far.
    least = float("inf")
    for n, at in enumerate(played(rate, claims)):
        least = min(least, n - rate * at)
        # Floats of the year 2026 are exact to a microsecond or so.
        assert n - rate * at - least <= rate * (LATE_S + 1e-5) + 1e-3


@given(rate=st.floats(0.5, 500), claims=CLAIMS, span=st.floats(LATE_S / 0.05, 60))
def test_no_span_beyond_some_seconds_has_more_than_five_percent_over_it(rate, claims, span):
    sent = played(rate, claims)
    for n, first in enumerate(sent):
        assert bisect_left(sent, first + span) - n <= 1.05 * rate * span + 1


@given(rate=st.floats(2, 500), gaps=st.lists(st.floats(0, AHEAD_S / 2), min_size=20, max_size=60))
def test_mailers_that_always_have_more_reach_the_limit(rate, gaps):
    pace, now, sent = Pace(), NOW, 0
    for gap in gaps:
        now += gap
        n = pace.slots(now, rate)
        pace, _ = pace.taken(now, rate, n)
        sent += n
    assert sent >= rate * (now - NOW) - 1


@given(rate=st.floats(0.05, 2000), idle=st.floats(0, 1e6))
def test_what_was_not_used_is_not_saved_up(rate, idle):
    pace, _ = Pace().taken(NOW, rate, 5)
    later = NOW + idle + 5 / rate
    assert pace.slots(later, rate) <= 1 + AHEAD_S * rate + 1e-6


def test_a_limit_is_all_there_is_while_nobody_refuses():
    assert Pace().rate(NOW, None) is None
    assert Pace().rate(NOW, 7.0) == 7.0


def test_a_refusal_halves_and_pauses_and_time_brings_it_back_step_by_step():
    pace = Pace().refused(NOW, NOW - 1, 100.0, RNG)
    assert pace.slots(NOW + FIRST_PAUSE_S / 2, 50.0) == 0
    after = pace.paused_until
    assert pace.rate(NOW, None) == pace.rate(after, None) == 50.0, "a pause is no success"
    assert pace.rate(after + GROW_S / 2, None) == pytest.approx(75.0)
    assert pace.rate(after + GROW_S / 2, 60.0) == 60.0
    assert pace.rate(after + GROW_S + 1, None) is None
    assert pace.rate(after + GROW_S + 1, 80.0) == 80.0


@given(st.lists(st.tuples(st.floats(0, 4), st.floats(0, 10)), min_size=1, max_size=50))
def test_a_burst_of_refusals_counts_once(burst):
    """Also those that come after the pause, of messages that were on their way before it."""
    pace = once = Pace().refused(NOW, NOW - 0.5, 64.0, RNG)
    for after, before in burst:
        pace = pace.refused(NOW + after * 10, NOW - before, 64.0, RNG)
    assert pace == once


def test_refused_again_it_halves_again_and_waits_longer():
    pace, now, pauses = Pace(), NOW, []
    for _ in range(12):
        pace = pace.refused(now, now, pace.rate(now, None) or 64.0, RNG)
        pauses.append(pace.pause_s)
        now = pace.paused_until + 1
    assert pauses[:4] == [FIRST_PAUSE_S, FIRST_PAUSE_S * 2, FIRST_PAUSE_S * 4, FIRST_PAUSE_S * 8]
    assert pauses[-1] == MOST_PAUSE_S
    assert pace.rate(now, None) is not None
    assert pace.slots(now, pace.rate(now, None) or 0) >= 1, "it never stops for good"


def test_a_provider_that_takes_some_is_never_left_alone_for_long():
    """It refuses one in so many whatever the speed: the pause is for it to take a breath, not for ever."""
    pace, now = Pace(), NOW
    for _ in range(12):
        pace = pace.refused(now, now, pace.rate(now, None) or 64.0, RNG, took_some=True)
        assert pace.pause_s == FIRST_PAUSE_S
        now = pace.paused_until + 1


def test_the_pause_is_short_again_after_a_good_while():
    pace = Pace().refused(NOW, NOW, 64.0, RNG)
    later = pace.paused_until + 120
    assert pace.refused(later, later, 40.0, RNG).pause_s == FIRST_PAUSE_S


@given(rates=st.lists(st.floats(0.01, 1000), min_size=1, max_size=30))
def test_the_rate_is_never_less_than_the_least(rates):
    pace, now = Pace(), NOW
    for rate in rates:
        pace = pace.refused(now, now, pace.rate(now, None) or rate, RNG)
        found = pace.rate(now, None)
        assert found is not None
        assert found >= LEAST_RATE
        now = pace.paused_until + 1


A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


@given(
    weights=st.fixed_dictionaries({A: st.integers(1, 100), B: st.integers(1, 100), C: st.integers(1, 100)}),
    chunks=st.lists(st.integers(1, 64), min_size=1, max_size=200),
)
def test_shares_follow_the_weights(weights, chunks):
    shares, got = Shares(), Counter()
    for n in chunks:
        one = shares.next(weights)
        shares.gave(weights, one, n)
        got[one] += n
    total = sum(chunks)
    for one, weight in weights.items():
        assert abs(got[one] - total * weight / sum(weights.values())) <= 2 * max(chunks)


def test_who_was_away_does_not_catch_up():
    shares, weights = Shares(), {A: 1, B: 1}
    for _ in range(1000):
        shares.gave({A: 1}, A, 10)
    got = Counter()
    for _ in range(10):
        one = shares.next(weights)
        shares.gave(weights, one, 10)
        got[one] += 10
    assert got == {A: 50, B: 50}
