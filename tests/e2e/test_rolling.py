"""A rolling restart in mid-campaign: SIGTERM, one process after another. Nothing is lost, doubled or in doubt."""

import os
import signal
from collections.abc import Callable
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


@pytest.mark.slow
@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(1200)
def test_a_rolling_restart_of_every_process_leaves_nothing_in_doubt(
    recorder: Recorder, tmp_path: Path, own_kafka: Broker
) -> None:
    recipients = int(os.environ.get("RECIPIENTS", "20000"))
    area = place() / "fleet"
    area.mkdir(mode=0o711)
    with fleet(area, own_kafka, recorder.url) as running:
        outside = Outside(running.url, running.token)
        with outside.http:
            with slowly(recorder, 0.2):
                campaign, tag, wanted = begin(outside, tmp_path / "people.csv", recipients, 42)
                wait_for_mail(recorder, tag, 20)
                took = roll(running, lambda: arrived(recorder, tag) < len(wanted))
            check(outside, recorder, campaign, tag, wanted, 0, within_s=400)
    print(f"{len(wanted)} recipients; {len(took)} restarts, the longest took {max(took.values()):.1f} s")


def roll(running: Fleet, under_way: Callable[[], bool]) -> dict[str, float]:
    """One process after another: SIGTERM, wait for its end, start it again, wait until it is ready."""
    took = {}
    for member in running.members:
        took[member.name] = member.terminate()
        member.start()
        member.ready()
        assert under_way(), f"the campaign was over when {member.name} was started again"
    return took
