"""Facts commute, and the books close only when they are right."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from campaigns.domain.lifecycle import (
    Hold,
    Life,
    Progress,
    Rejection,
    Totals,
    balance,
    settled,
    status,
    wished,
    with_hold,
    with_progress,
    with_rejection,
    with_totals,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.properties import times

BORN = Life(UUID(int=1), UUID(int=2), "running", 1, 1)
Fact = Callable[[Life], Life]

small = st.integers(0, 3)
progresses = st.builds(
    Progress,
    revision=st.integers(1, 8),
    state_revision=small,
    final=st.booleans(),
    eligible=st.just(3),
    rows=st.just(3),
    sent=small,
    failed=st.dictionaries(st.sampled_from(["5.1.1", "5.7.1"]), st.integers(1, 2), max_size=2),
    uncertain=small,
    open=small,
)


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """What contacts and delivery may tell of one campaign: one audience, one progress per revision."""
    told: list[Fact] = [
        partial(with_progress, progress=one)
        for one in draw(st.lists(progresses, max_size=6, unique_by=lambda one: one.revision))
    ]
    if draw(st.booleans()):
        told.append(partial(with_totals, totals=Totals(5, {"unsubscribed": 2}, 3)))
    holds = st.builds(Hold, st.integers(1, 3), st.sampled_from(["policy", "quota"]))
    told += [partial(with_hold, hold=one) for one in draw(st.lists(holds, max_size=2))]
    rejections = st.builds(Rejection, st.sampled_from(["segment_not_found", "too_large"]), st.just("x"))
    told += [partial(with_rejection, rejection=one) for one in draw(st.lists(rejections, max_size=2))]
    return told


def after(life: Life, told: list[Fact]) -> Life:
    for fact in told:
        life = settled(fact(life))
    return life


@settings(max_examples=times(200), deadline=None)
@given(facts(), st.sampled_from(["running", "paused", "cancelled"]), st.randoms(use_true_random=False))
def test_facts_in_any_order_and_doubled_leave_the_same_life(told: list[Fact], wish: str, random: object) -> None:
    life = BORN if wish == "running" else wished(BORN, wish)  # type: ignore[arg-type]
    shuffled = [*told, *told]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = after(life, told), after(life, shuffled)
    assert one == other
    assert status(one) == status(other)


@settings(max_examples=times(150), deadline=None)
@given(facts())
def test_books_close_only_when_both_sums_hold(told: list[Fact]) -> None:
    life = after(BORN, told)
    if life.outcome == "completed":
        assert life.closing is not None
        closing = balance(life.totals, life.closing)
        assert closing.balanced
        assert closing.open == 0
        assert closing.audience == sum(closing.excluded.values()) + (closing.eligible or 0)
        assert closing.eligible == closing.sent + sum(closing.failed.values()) + closing.suppressed + closing.uncertain


@given(progresses)
def test_balance_shown_always_adds_up(progress: Progress) -> None:
    if progress.settled + progress.open != progress.rows:
        return
    shown = balance(Totals(9, {"a": 2}, 7), progress)
    assert shown.eligible == progress.settled + shown.open
    assert not shown.balanced


def test_balance_when_a_sum_is_off_by_one_then_not_balanced() -> None:
    right = Progress(1, rows=3, sent=3)
    assert balance(Totals(5, {"a": 2}, 3), right).balanced
    assert not balance(Totals(5, {"a": 1}, 3), right).balanced
    assert not balance(Totals(6, {"a": 2}, 4), right).balanced
    assert not balance(Totals(5, {"a": 2}, 3), Progress(1, rows=3, sent=2)).balanced
    assert not balance(Totals(5, {"a": 2}, 3), Progress(1, rows=3, sent=2, open=1)).balanced
    assert not balance(Totals(5, {"a": 2}, 3), Progress(1, rows=2, sent=3)).balanced
    assert not balance(None, right).balanced
    assert balance(Totals(2, {"a": 2}, 0), None).balanced


def test_pause_is_confirmed_by_its_own_revision_or_a_later_one() -> None:
    paused = wished(BORN, "paused")
    assert status(paused)[0] == "pausing"
    assert status(with_progress(paused, Progress(1, state_revision=1)))[0] == "pausing"
    assert status(with_progress(paused, Progress(1, state_revision=2)))[0] == "paused"


def test_hold_from_before_a_resume_does_not_pause_again() -> None:
    held = with_hold(BORN, Hold(1, "policy"))
    assert status(held) == ("paused", "policy", None)
    resumed = wished(held, "running")
    assert status(resumed) == ("running", None, None)
    assert status(with_hold(resumed, Hold(1, "quota"))) == ("running", None, None)
    assert status(with_hold(resumed, Hold(2, "quota"))) == ("paused", "quota", None)
