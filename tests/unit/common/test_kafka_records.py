"""Events to Kafka records and back; and what aiokafka says while a broker is away."""

import dataclasses
import logging
from types import SimpleNamespace

import pytest
from common.bus.kafka.logs import Seldom
from common.bus.kafka.records import LANE, headers, polled
from common.testing.examples import all_examples


def message(record, prefix: str = ""):
    return SimpleNamespace(
        topic=prefix + record.topic,
        partition=2,
        offset=17,
        timestamp=1_700_000_000_000,
        key=record.key.encode(),
        value=record.payload.encode(),
        headers=tuple(headers(record)),
    )


@pytest.mark.parametrize("example", all_examples(), ids=str)
@pytest.mark.parametrize("lane", [0, 1, 2])
def test_every_example_comes_back_whole_in_any_lane(example, lane):
    record = dataclasses.replace(example.record(), lane=lane)
    found = polled(message(record, "shared."), "shared.")
    assert found.fault is None
    assert found.record == record
    assert (found.source, found.offset) == (f"{record.topic}:2", 17)


def test_the_lane_travels_only_where_it_is_not_the_topics_own():
    record = all_examples()[0].record()
    assert LANE not in dict(headers(record))
    assert dict(headers(dataclasses.replace(record, lane=2)))[LANE] == b"2"


@pytest.mark.parametrize("missing", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_workspaceid"])
def test_a_missing_header_is_named(missing):
    made = message(all_examples()[0].record())
    made.headers = tuple(pair for pair in made.headers if pair[0] != missing)
    found = polled(made, "")
    assert found.fault == f"not an event of Barid: {missing} is missing"
    assert found.record.payload == made.value.decode()
    # The same place gives the same id, so that it is buried once.
    assert polled(made, "").record.id == found.record.id


def test_a_kind_of_warning_is_told_once_in_ten_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("common.bus.kafka.logs.time.monotonic", lambda: now[0])
    seldom = Seldom()

    def told(level: int, text: str) -> bool:
        return seldom.filter(logging.LogRecord("aiokafka", level, "", 1, text, ("x",), None))

    assert told(logging.ERROR, "Unable %s")
    assert not told(logging.ERROR, "Unable %s")
    assert told(logging.ERROR, "Other %s")
    assert told(logging.INFO, "Unable %s")
    assert told(logging.INFO, "Unable %s")
    now[0] += 10
    assert told(logging.ERROR, "Unable %s")
