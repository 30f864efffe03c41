from common.batch_size import LEAST, MOMENT_S, BatchSize
from hypothesis import given
from hypothesis import strategies as st


def after(size: BatchSize, rate: float, batches: int) -> int:
    """What it takes at once when a worker does `rate` a second, every batch full."""
    for _ in range(batches):
        size.took(size.now, size.now / rate)
    return size.now


def test_fast_work_takes_as_many_as_it_may():
    assert after(BatchSize(5000), 40_000, 5) == 5000


def test_slow_work_takes_what_is_done_in_a_moment():
    assert 0.8 * 5_000 * MOMENT_S <= after(BatchSize(5000), 5_000, 10) <= 5_000 * MOMENT_S


def test_it_grows_again_when_the_work_is_fast_again():
    size = BatchSize(4000)
    after(size, 1_000, 10)
    assert size.now < 300
    assert after(size, 100_000, 6) == 4000


def test_one_slow_commit_halves_it_at_most():
    size = BatchSize(4000)
    size.took(10, 30.0)
    assert size.now == 2000


def test_a_small_batch_that_was_quick_says_nothing():
    size = BatchSize(4000)
    size.took(1, MOMENT_S / 2)
    assert size.now == 4000


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 100))), st.integers(1, 5000))
def test_it_stays_within_its_bounds(batches, most):
    size = BatchSize(most)
    for n, seconds in batches:
        size.took(n, seconds)
        assert min(LEAST, most) <= size.now <= most
