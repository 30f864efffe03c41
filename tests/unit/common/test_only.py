"""`worker --only`: which consumers a process runs."""

import pytest
from analytics.consumers.subscriptions import consumers
from common.consumer.process import chosen_of
from common.errors import Misconfigured


def names(only: str | None) -> list[str]:
    return [one.name for one in chosen_of(consumers(), only)]


def test_without_a_choice_all_consumers_run() -> None:
    assert names(None) == ["analytics.ingest", "analytics.scoring", "analytics.access"]


def test_several_are_named_by_commas_whole_or_by_their_last_part_and_each_runs_once() -> None:
    assert names("ingest, analytics.access,ingest") == ["analytics.ingest", "analytics.access"]


@pytest.mark.parametrize("only", ["ingest,scorin", "", "ingest,"])
def test_a_name_that_nobody_has_is_told_with_those_there_are(only: str) -> None:
    with pytest.raises(Misconfigured, match=r"there is analytics\.ingest, analytics\.scoring, analytics\.access"):
        names(only)
