"""The algebra of a warm-up plan."""

from datetime import date, timedelta

from delivery.domain.warmup import Plan, spellings, usual
from hypothesis import given
from hypothesis import strategies as st

FIRST = date(2026, 11, 27)


@given(
    daily=st.lists(st.integers(1, 1000), min_size=1, max_size=10),
    days=st.lists(st.tuples(st.integers(-3, 5), st.integers(0, 3000)), max_size=40),
)
def test_no_day_has_more_than_its_cap_and_no_day_counts_twice(daily, days):
    plan, today, sent = Plan(daily, 1, FIRST, 0), FIRST, {}
    for later, wanted in days:
        today += timedelta(days=later)
        plan = plan.on(today)
        n = wanted if plan.left is None else min(wanted, plan.left)
        plan = Plan(daily, plan.number, plan.day, plan.used + n)
        sent.setdefault((plan.day, plan.number), 0)
        sent[(plan.day, plan.number)] += n
    numbers = [number for _, number in sorted(sent)]
    assert numbers == sorted(numbers), "it never goes back"
    assert len({day for day, _ in sent}) == len(sent), "a day is one day of the plan"
    for (_, number), n in sent.items():
        assert number > len(daily) or n <= daily[number - 1]


def test_a_day_without_mail_is_not_counted():
    plan = Plan([10, 20], 1, FIRST, 0)
    assert plan.on(FIRST + timedelta(days=9)).number == 1
    assert Plan([10, 20], 1, FIRST, 1).on(FIRST + timedelta(days=9)).number == 2


def test_after_the_last_day_there_is_no_cap():
    plan = Plan([10], 1, FIRST, 10).on(FIRST + timedelta(days=1))
    assert (plan.done, plan.cap, plan.left) == (True, None, None)


def test_the_usual_plan_grows_every_day():
    assert usual()[0] == 50
    assert usual() == sorted(set(usual()))


def test_a_domain_is_known_however_its_senders_write_it():
    assert spellings("xn--mgbh0fb.com") == ["xn--mgbh0fb.com", "مثال.com"]
    assert spellings("xn--fa-hia.de") == ["xn--fa-hia.de", "faß.de"]
    assert spellings("shop.test") == ["shop.test"]
    assert spellings("xn--zzzzzz.de") == ["xn--zzzzzz.de"]
