"""Ending what tells the broker of offsets."""

import asyncio

import pytest
from aiokafka import TopicPartition
from common.bus.kafka.lag import Lag

PLACE = TopicPartition("segment.changed", 0)


class Committing:
    """As an aiokafka consumer, but its commits end when the test says so."""

    def __init__(self) -> None:
        self.entered, self.go = asyncio.Event(), asyncio.Event()

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    async def commit(self, offsets: object) -> None:
        self.entered.set()
        await self.go.wait()


@pytest.mark.parametrize("turns", range(5))
async def test_it_ends_although_a_commit_succeeds_as_it_is_cancelled(turns: int) -> None:
    """Before Python 3.12 wait_for() swallows a cancellation that meets a result, and the loop went on for ever."""
    lag, consumer = Lag(), Committing()
    lag.note({PLACE: 7})
    lag.keep(consumer, 0.001)
    await consumer.entered.wait()
    consumer.go.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    ending = asyncio.create_task(lag.end())
    ended, _ = await asyncio.wait({ending}, timeout=2)
    ending.cancel()
    assert ended
