"""How far behind a consumer says it is."""

import asyncio
import time
from collections.abc import Callable

import pytest
from common.testing.deliver import as_record
from prometheus_client import REGISTRY

from tests.conformance.transports import OnKafka


def lag() -> float:
    return REGISTRY.get_sample_value("barid_consumer_lag_events", {"consumer": "test.main"}) or 0.0


async def until(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"the lag is {lag()}"
        await asyncio.sleep(0.02)


@pytest.fixture
def often(monkeypatch) -> None:
    monkeypatch.setattr("common.consumer.meter.EVERY_S", 0.05)
    monkeypatch.setattr("common.consumer.runner.POLL_S", 0.1)


async def test_lag_counts_what_is_not_committed_the_batch_at_hand_too_and_is_nothing_at_the_end(service, often):
    go = asyncio.Event()

    async def wait(tx, events) -> None:
        await go.wait()

    exact = isinstance(service.transport, OnKafka)  # on postgres an upper bound: ids are given out over all topics
    events = service.segments(50)
    async with service.running(service.runner(service.consumer(wait, max_batch=20))):
        await service.transport.producer().publish([as_record(event) for event in events])
        await until(lambda: lag() == 50 if exact else lag() >= 50)
        await asyncio.sleep(0.3)
        assert lag() == 50 if exact else lag() >= 50, "what was read is not yet passed"
        go.set()
        await service.until_seen(events)
        await until(lambda: lag() == 0)
