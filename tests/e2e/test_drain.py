"""`barid drain` in mid-campaign: the stack moves from `postgres` to Kafka, and every book closes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_kill import begin, check, draft, slowly
from tests.fixtures.environment import place
from tests.fixtures.kafka import TestKafka
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder
from tests.fixtures.stack import Stack, start

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]


@pytest.fixture
def moving(recorder: Recorder, kafka: TestKafka) -> Iterator[Stack]:
    """A stack of its own on `postgres`, that knows a broker to move to."""
    running = start(
        place() / f"moving{time.time_ns()}",
        BARID_SMTP_URL=recorder.url,
        BARID_KAFKA_BOOTSTRAP=kafka.address,
        BARID_KAFKA_PREFIX=f"move{time.time_ns()}.",
    )
    try:
        yield running
    finally:
        running.barid("down")


def test_a_stack_moves_to_kafka_in_mid_campaign_and_every_book_closes(
    moving: Stack, recorder: Recorder, tmp_path: Path
) -> None:
    outside = Outside(moving.info()["url"], moving.info()["token"])
    assert moving.barid("topics", "apply").returncode == 0
    with outside.http, slowly(recorder, 0.02):
        second, other, others = draft(outside, tmp_path / "second.csv", 300, 22)
        first, tag, wanted = begin(outside, tmp_path / "first.csv", 1200, 21)
        outside.until(lambda: outside.balance(first)["sent"], lambda sent: sent > 0, 60)
        drained = moving.barid("drain", "--timeout", "90")
        assert drained.returncode == 0, drained.stderr
        # What is accepted between the seal and the switch waits in the outboxes.
        outside.call("POST", f"/v1/campaigns/{second}/start", json={})
        assert outside.call("GET", f"/v1/campaigns/{second}")["status"] == "running"
        assert not outside.balance(second)["balanced"]
        assert moving.barid("down").returncode == 0
        refused = moving.barid("up")
        assert refused.returncode != 0
        assert "moved this installation to Kafka" in refused.stderr
        moving.environment["BARID_BUS"] = "kafka"
        up = moving.barid("up")
        assert up.returncode == 0, up.stderr
        check(outside, recorder, first, tag, wanted, 0)
        check(outside, recorder, second, other, others, 0)
        for campaign, people in ((first, wanted), (second, others)):
            outside.until(lambda: outside.report(campaign)["sent"], lambda sent: sent == len(people), 30)  # noqa: B023
