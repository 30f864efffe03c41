"""kill -9 of each process in mid-campaign: nobody gets two mails, and nobody is missing who is not listed."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from common.contracts.addresses import normalise_address

from tests.fixtures import messy_contacts
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder
from tests.fixtures.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

WINDOW = 64


@contextmanager
def slowly(recorder: Recorder, delay_s: float) -> Iterator[None]:
    """Let each message take a while, so that there is a middle to be killed in."""
    recorder.delay_s = delay_s
    try:
        yield
    finally:
        recorder.delay_s = 0.0


def draft(outside: Outside, path: Path, rows: int, seed: int) -> tuple[str, str, set[str]]:
    """Import people and make a campaign to them: (campaign id, tag, addresses)."""
    tag = f"k{seed}x{time.time_ns()}"
    expected = messy_contacts.write(path, rows, seed=seed, tag=tag)
    outside.import_file(path)
    segment = outside.segment({"field": "email", "op": "starts_with", "value": tag})
    campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
    return campaign, tag, {normalise_address(address) for address in expected.addresses}


def begin(outside: Outside, path: Path, rows: int, seed: int) -> tuple[str, str, set[str]]:
    """Import people and start a campaign to them: (campaign id, tag, addresses)."""
    campaign, tag, addresses = draft(outside, path, rows, seed)
    outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
    return campaign, tag, addresses


def uncertain(outside: Outside, campaign: str) -> set[str]:
    """The addresses listed as uncertain."""
    found: set[str] = set()
    cursor = None
    while True:
        query = {"campaign_id": campaign, "status": "uncertain", "limit": 200} | ({"cursor": cursor} if cursor else {})
        page = outside.call("GET", "/v1/messages", params=query)
        found |= {normalise_address(item["email"]) for item in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def check(
    outside: Outside, recorder: Recorder, campaign: str, tag: str, wanted: set[str], allowed: int, within_s: float = 150
) -> None:
    """By identity: at most one mail an address, none missing but the listed, none too many listed."""
    books = outside.closed(campaign, within_s)
    arrived = {address: n for address, n in recorder.counts().items() if address.startswith(tag)}
    assert {address: n for address, n in arrived.items() if n > 1} == {}
    listed = uncertain(outside, campaign)
    assert wanted - set(arrived) <= listed, "missing, and nobody says so"
    assert set(arrived) <= wanted
    assert len(listed) == books["uncertain"] <= allowed
    assert books["eligible"] == len(wanted)


@pytest.mark.parametrize("process", ["gateway", "all", "mailer", "postgres"])
def test_a_killed_process_loses_and_doubles_nothing(
    process: str, stack: Stack, outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED", "7"))
    moments = random.Random(f"{seed}{process}")
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 800, seed)
        kills = 2
        for _ in range(kills):
            time.sleep(moments.uniform(0.2, 1.2))
            stack.kill(process)
        check(outside, recorder, campaign, tag, wanted, WINDOW * kills if process == "mailer" else 0)


@pytest.mark.slow
def test_postgresql_stopped_for_twenty_seconds_changes_nothing(
    stack: Stack, outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 2000, 11)
        time.sleep(1)
        stopped = family(stack.pid("postgres"))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(20)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        check(outside, recorder, campaign, tag, wanted, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("SEEDS", "0 1 2 3 4").split()])
def test_random_kills_all_over_a_campaign(
    seed: int, stack: Stack, outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 4000, seed)
        mailers = 0
        for _ in range(6):
            time.sleep(moments.uniform(0.2, 3))
            process = moments.choice(["gateway", "all", "mailer", "postgres"])
            mailers += process == "mailer"
            stack.kill(process)
        check(outside, recorder, campaign, tag, wanted, WINDOW * mailers)


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found
