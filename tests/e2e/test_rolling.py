"""A rolling restart in mid-campaign: SIGTERM, one process after another. Nothing is lost, doubled or in doubt."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_changes_of_mind import arrived, wait_for_mail
from tests.e2e.test_kill import begin, check, slowly
from tests.fixtures.environment import place
from tests.fixtures.fleet import Fleet, fleet
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder
from tests.fixtures.stack import Stack
from tools.kafka import Broker

pytestmark = [pytest.mark.e2e]


@pytest.mark.timeout(300)
def test_a_rolling_restart_of_the_stack_leaves_nothing_in_doubt(
    stack: Stack, outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    with slowly(recorder, 0.1):  # slow enough to last until the last restart, whatever else the machine does
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 2000, 41)
        wait_for_mail(recorder, tag, 20)
        for process in ("all", "mailer", "gateway"):
            before = arrived(recorder, tag)
            stack.kill(process, signal.SIGTERM)
            wait_for_mail(recorder, tag, before + 20)
        assert arrived(recorder, tag) < len(wanted)
    check(outside, recorder, campaign, tag, wanted, 0)


@pytest.fixture(scope="module")
def production(recorder: Recorder, own_kafka: Broker) -> Iterator[Fleet]:
    """Every process by itself; their members have no instance names, as in a Deployment."""
    area = place() / "fleet"
    area.mkdir(mode=0o711)
    with fleet(area, own_kafka, recorder.url) as running:
        yield running


@pytest.mark.slow
@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(1200)
class TestFleet:
    def test_a_rolling_restart_of_every_process_leaves_nothing_in_doubt(
        self, production: Fleet, recorder: Recorder, tmp_path: Path
    ) -> None:
        rows = int(os.environ.get("ROWS", "21500"))  # of which a few are nobody's address: 20,000 recipients
        outside = Outside(production.url, production.token)
        with outside.http:
            with slowly(recorder, 0.2):
                campaign, tag, wanted = begin(outside, tmp_path / "people.csv", rows, 42)
                wait_for_mail(recorder, tag, 20)
                took = roll(production, lambda: arrived(recorder, tag) < len(wanted))
            check(outside, recorder, campaign, tag, wanted, 0, within_s=400)
        print(f"{len(wanted)} recipients; {len(took)} restarts, the longest took {max(took.values()):.1f} s to drain")

    def test_a_worker_killed_without_a_name_is_missed_within_its_session(
        self, production: Fleet, recorder: Recorder, tmp_path: Path
    ) -> None:
        outside = Outside(production.url, production.token)
        with outside.http, slowly(recorder, 0.02):
            campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 800, 43)
            began = time.monotonic()
            for member in production.members:
                if member.name.endswith("worker-0"):
                    member.kill()
            check(outside, recorder, campaign, tag, wanted, 0, within_s=60)
            print(f"books closed {time.monotonic() - began:.1f} s after a worker of each service was killed")
            for member in production.members:
                if member.name.endswith("worker-0"):
                    member.start()
                    member.ready()


def roll(running: Fleet, under_way: Callable[[], bool]) -> dict[str, float]:
    """One process after another: SIGTERM, wait for its end, start it again, wait until it is ready."""
    took = {}
    for member in running.members:
        took[member.name] = member.terminate()
        member.start()
        member.ready()
        assert under_way(), f"the campaign was over when {member.name} was started again"
    return took
