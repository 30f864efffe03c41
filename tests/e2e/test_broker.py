"""The Kafka broker killed, stopped and frozen in mid-campaign: nothing is lost, and nobody has to wait to write."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_changes_of_mind import arrived, wait_for_mail
from tests.e2e.test_kill import WINDOW, begin, check, slowly
from tests.e2e.test_main_job import one
from tests.fixtures.kafka import watch
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder
from tests.fixtures.stack import Stack, on_kafka_only
from tools.kafka import Broker

pytestmark = [pytest.mark.e2e, on_kafka_only, pytest.mark.timeout(400)]


@contextmanager
def away(broker: Broker, how: signal.Signals = signal.SIGKILL) -> Iterator[None]:
    """Without the broker; afterwards it is back."""
    broker.stop(how)
    try:
        yield
    finally:
        broker.start()
        watch(broker)


@pytest.mark.parametrize("moment_s", [0.0, 0.7])
def test_a_broker_killed_and_started_again_loses_and_doubles_nothing(
    moment_s: float, outside: Outside, recorder: Recorder, stack_kafka: Broker, tmp_path: Path
) -> None:
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 800, 31)
        time.sleep(moment_s)
        with away(stack_kafka):
            time.sleep(1)
        check(outside, recorder, campaign, tag, wanted, 0)


@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_with_the_broker_away_writes_are_accepted_mail_goes_on_and_everything_catches_up(
    seconds: int, outside: Outside, recorder: Recorder, stack_kafka: Broker, tmp_path: Path
) -> None:
    with slowly(recorder, 0.05):
        late = f"b{time.time_ns()}"
        segment = outside.segment({"field": "email", "op": "starts_with", "value": late})
        first, tag, wanted = begin(outside, tmp_path / "first.csv", 600, 32)
        wait_for_mail(recorder, tag, 20)
        with away(stack_kafka):
            down = time.monotonic()
            before = arrived(recorder, tag)
            second = write_all_sorts(outside, late, segment)
            opener = next(mail for mail in list(recorder.mails) if mail.recipient.startswith(tag))
            assert httpx.get(one(opener, "o")).status_code == 200
            wait_for_mail(recorder, tag, before + 40)
            while time.monotonic() - down < seconds:
                accepted(outside, "POST", "/v1/contacts", {"email": f"x{time.time_ns()}@later.example"})
                time.sleep(0.5)
        back = time.monotonic()
        check(outside, recorder, first, tag, wanted, 0)
    books = outside.closed(second, 60)
    print(f"books closed {time.monotonic() - back:.1f} s after the broker was back")
    assert (books["eligible"], books["sent"]) == (1, 1)
    outside.until(lambda: outside.report(first), lambda r: r["sent"] == len(wanted) and r["opens"]["unique"] == 1, 10)


@pytest.mark.slow
def test_a_broker_frozen_for_twenty_seconds_changes_nothing(
    outside: Outside, recorder: Recorder, stack_kafka: Broker, tmp_path: Path
) -> None:
    assert stack_kafka.process is not None
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 2000, 33)
        time.sleep(1)
        stack_kafka.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(20)
        finally:
            stack_kafka.process.send_signal(signal.SIGCONT)
        check(outside, recorder, campaign, tag, wanted, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("SEEDS", "0 1 2").split()])
def test_random_kills_of_brokers_and_processes_all_over_a_campaign(
    seed: int, stack: Stack, outside: Outside, recorder: Recorder, stack_kafka: Broker, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "people.csv", 4000, seed)
        mailers = 0
        for _ in range(6):
            time.sleep(moments.uniform(0.2, 3))
            process = moments.choice(["gateway", "all", "mailer", "postgres"])
            mailers += process == "mailer"
            if moments.random() < 0.5:
                stack.kill(process)
                continue
            with away(stack_kafka):
                stack.kill(process)
                time.sleep(moments.uniform(0, 5))
        check(outside, recorder, campaign, tag, wanted, WINDOW * mailers)


def write_all_sorts(outside: Outside, tag: str, segment: str) -> str:
    """Write to every service that is written to, each accepted at its first try; the campaign that was started."""
    made = accepted(outside, "POST", "/v1/contacts", {"email": f"{tag}@written.example", "first_name": "برید"})
    consent = {"purpose": "newsletter", "status": "subscribed", "source": "form", "evidence": "in the outage"}
    accepted(outside, "POST", "/v1/consents", {"contact_id": made["id"], **consent})
    rule = {"field": "email", "op": "starts_with", "value": f"{tag}y"}
    untold = accepted(outside, "POST", "/v1/segments", {"name": tag, "rule": rule})["id"]
    draft = outside.http.post("/v1/campaigns", json={"name": "early", "audience": {"segment_ids": [untold]}})
    assert (draft.status_code, draft.json()["code"]) == (503, "projection_behind"), (
        "nobody has told campaigns of it yet"
    )
    accepted(outside, "POST", "/v1/suppressions", {"email": f"{tag}z@suppressed.example"})
    sender = accepted(outside, "POST", "/v1/senders", {"name": "Barid", "email": "news@barid.example"})["id"]
    campaign = outside.campaign(sender, {"segment_ids": [segment]})
    accepted(outside, "POST", f"/v1/campaigns/{campaign}/start", {})
    return campaign


def accepted(outside: Outside, method: str, path: str, body: dict) -> dict:
    """The answer to one request, which must come soon and be good."""
    began = time.monotonic()
    answer = outside.http.request(method, path, json=body)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    assert time.monotonic() - began < 2
    return answer.json() if answer.content else {}
