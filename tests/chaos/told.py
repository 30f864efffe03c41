"""What the bus tells, as it lies there: read by a group of the bench's own, told again, and waited for."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import uuid4

from common.bus import open_producer, open_reader
from common.bus.port import Polled
from common.contracts.envelope import Record
from common.contracts.topics import TOPICS
from common.settings import SharedSettings

from tests.chaos.bench import Bench

_BATCH = 2000
_QUIET = 3  # polls of a second that find nothing
_READERS = {topic.name: topic.consumers for topic in TOPICS}
_SERVICES = sorted({consumer.partition(".")[0] for names in _READERS.values() for consumer in names})


Places = dict[str, int]


def now(bench: Bench) -> Places:
    """Where the furthest consumer of each source is."""
    at: Places = defaultdict(int)
    for service in _SERVICES:
        for row in bench.databases.read(service, "select source, next_offset from consumer_offsets"):
            at[row["source"]] = max(at[row["source"]], row["next_offset"])
    return at


def put_back(bench: Bench, places: Places) -> None:
    """Let every consumer of the services that keep people read from there again, once they are started anew."""
    for service in ("contacts", "analytics"):
        bench.databases.read(
            service,
            "update consumer_offsets o set next_offset = least(o.next_offset, p.at)"
            "  from unnest($1::text[], $2::bigint[]) p (source, at) where o.source = p.source",
            list(places), list(places.values()),
        )  # fmt: skip


def told(bench: Bench, since: Places) -> list[Polled]:
    """Every event that lies on the bus from there on, in order per source."""
    return asyncio.run(_read(_settings(bench), since))


def tell(bench: Bench, records: Iterable[Record]) -> int:
    """Put records on the bus in this order; how many."""
    return asyncio.run(_publish(_settings(bench), list(records)))


def until_heard(bench: Bench, since: Places, within_s: float = 150) -> None:
    """Wait until each consumer is past the last event that it reads, and nothing new was told meanwhile."""
    deadline = time.monotonic() + within_s
    heard = -1
    while True:
        events = told(bench, since)
        lag = _lag(bench, events)
        if not lag and len(events) == heard:
            return
        assert time.monotonic() < deadline, f"after {within_s} s not heard: {lag}"
        heard = len(events) if not lag else -1


def _lag(bench: Bench, events: Sequence[Polled]) -> dict[str, str]:
    """Where each consumer still has something before it."""
    ends: dict[tuple[str, str], int] = defaultdict(int)
    for event in events:
        for consumer in _READERS[event.record.topic]:
            ends[consumer, event.source] = max(ends[consumer, event.source], event.offset + 1)
    found = {}
    for service in _SERVICES:
        rows = bench.databases.read(service, "select consumer, source, next_offset from consumer_offsets")
        at = {(row["consumer"], row["source"]): row["next_offset"] for row in rows}
        for (consumer, source), end in ends.items():
            if consumer.startswith(f"{service}.") and at.get((consumer, source), 0) < end:
                found[f"{consumer} {source}"] = f"{at.get((consumer, source), 0)} of {end}"
    return found


def _settings(bench: Bench) -> SharedSettings:
    if bench.broker is not None:
        return SharedSettings(bus="kafka", kafka_bootstrap=bench.broker.address)
    return SharedSettings.model_validate({"bus": "postgres", "bus_database_url": bench.databases.url("bus")})


async def _read(settings: SharedSettings, since: Places) -> list[Polled]:
    found: list[Polled] = []
    known: set[str] = set()
    quiet = 0
    async with asyncio.timeout(120), open_reader(settings, f"chaos-{uuid4().hex[:8]}", sorted(_READERS)) as reader:
        while quiet < _QUIET:
            if fresh := await reader.assignment() - known:
                reader.seek({source: since.get(source, 0) for source in fresh})
                known |= fresh
            batch = await reader.poll(_BATCH, 1.0)
            found += batch
            quiet = 0 if batch or not known else quiet + 1
    return found


async def _publish(settings: SharedSettings, records: Sequence[Record]) -> int:
    async with open_producer(settings) as producer:
        for start in range(0, len(records), _BATCH):
            await producer.publish(records[start : start + _BATCH])
    return len(records)
