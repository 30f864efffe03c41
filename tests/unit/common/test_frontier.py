"""The relay's reading position, against every order in which transactions may commit."""

from common.outbox.frontier import FOREVER, Frontier
from hypothesis import given
from hypothesis import strategies as st


def visible(frontier: Frontier, committed: set[int], deleted: set[int], limit: int) -> tuple[list[int], bool]:
    """What the relay's query would give: committed rows in the open ranges, in order, up to the limit."""
    firsts, lasts = frontier.ranges()
    open_ids = sorted(i for i in committed - deleted if any(a <= i <= b for a, b in zip(firsts, lasts, strict=True)))
    return open_ids[:limit], len(open_ids) < limit


def test_an_id_that_was_read_is_never_looked_at_again():
    frontier = Frontier()
    frontier.read([1, 2, 5], complete=True)
    assert frontier.ranges() == ([3, 6], [4, FOREVER])
    frontier.read([4], complete=True)
    assert frontier.ranges() == ([3, 6], [3, FOREVER])


def test_a_gap_closes_only_after_its_writers_ended_and_one_more_round():
    frontier = Frontier()
    frontier.read([1, 5], complete=True)
    frontier.writers({"3/7"})
    frontier.read([], complete=True)
    frontier.writers({"3/7", "4/1"})
    assert frontier.gaps == [(2, 4)]
    frontier.writers({"4/1"})
    assert frontier.gaps == [(2, 4)]
    frontier.read([3], complete=True)
    assert frontier.gaps == []


def test_a_round_cut_short_below_the_gap_does_not_close_it():
    frontier = Frontier()
    frontier.read([1, 9], complete=True)
    frontier.writers(set())
    frontier.writers(set())
    frontier.read([3], complete=False)
    assert frontier.gaps == [(2, 2), (4, 8)]


def test_thousands_of_gaps_are_merged_and_still_cover_every_open_id():
    frontier = Frontier()
    frontier.read(list(range(2, 8000, 2)), complete=True)
    assert len(frontier.gaps) <= 512
    covered = {i for a, b in frontier.gaps for i in range(a, b + 1)}
    assert set(range(1, 7999, 2)) <= covered


@given(st.data())
def test_nothing_is_lost_and_nothing_read_twice_whatever_the_commit_order(data):
    """Transactions draw ids, commit or roll back in any order; rounds of any size happen in between."""
    frontier = Frontier()
    next_id, next_tx = 1, 0
    running: dict[str, set[int]] = {}
    committed: set[int] = set()
    deleted: set[int] = set()
    got: list[int] = []

    def round_(limit: int) -> None:
        ids, complete = visible(frontier, committed, deleted, limit)
        got.extend(ids)
        deleted.update(ids)
        frontier.read(ids, complete=complete)
        frontier.writers(running)

    for _ in range(data.draw(st.integers(5, 60))):
        action = data.draw(st.sampled_from(["begin", "insert", "insert", "commit", "rollback", "round", "round"]))
        if action == "begin":
            running[f"tx/{next_tx}"] = set()
            next_tx += 1
        elif action == "round":
            round_(data.draw(st.integers(1, 5)))
        elif running:
            name = data.draw(st.sampled_from(sorted(running)))
            if action == "insert":
                for _ in range(data.draw(st.integers(1, 3))):
                    running[name].add(next_id)
                    next_id += 1
            else:
                ids = running.pop(name)
                if action == "commit":
                    committed |= ids
    for name in sorted(running):
        committed |= running.pop(name)
    for _ in range(len(committed) + 5):
        round_(5)
    assert sorted(got) == sorted(committed)
    assert len(got) == len(set(got))
    round_(1000)
    round_(1000)
    round_(1000)
    assert frontier.gaps == []
