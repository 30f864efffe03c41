"""Events as Kafka records: CloudEvents 1.0, Kafka binding, binary mode."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from common.bus.port import Polled
from common.contracts.envelope import Record
from common.contracts.topics import BY_NAME

LANE = "ce_lane"
_NOBODY = UUID(int=0)


def lane_of(topic: str) -> int:
    """The lane its contract gives a topic."""
    known = BY_NAME.get(topic)
    return known.lane if known else 1


def headers(record: Record) -> list[tuple[str, bytes]]:
    """The record's headers; the lane only where it is not the topic's own."""
    pairs = record.headers()
    if record.lane != lane_of(record.topic):
        pairs.append((LANE, str(record.lane).encode()))
    return pairs


def polled(message: Any, prefix: str) -> Polled:
    """A message as read. One that is not ours becomes a record with a fault, for the dead letters."""
    topic: str = message.topic.removeprefix(prefix)
    source = f"{topic}:{message.partition}"
    try:
        return Polled(_record(topic, message), source, message.offset)
    except (KeyError, ValueError, TypeError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        return Polled(_foreign(topic, source, message), source, message.offset, fault=f"not an event of Barid: {why}")


def _record(topic: str, message: Any) -> Record:
    named = dict(message.headers)
    if message.key is None:
        raise ValueError("it has no key")
    if message.value is None:
        raise ValueError("it has no value")
    trace: bytes | None = named.get("traceparent")
    payload: str = message.value.decode()
    if "\0" in payload:
        raise ValueError("a NUL byte")
    time = datetime.fromisoformat(named["ce_time"].decode())
    if time.tzinfo is None:
        raise ValueError("ce_time has no offset")
    return Record(
        id=UUID(named["ce_id"].decode()),
        topic=topic,
        type=named["ce_type"].decode(),
        source=named["ce_source"].decode(),
        workspace_id=UUID(named["ce_workspaceid"].decode()),
        time=time,
        key=message.key.decode(),
        payload=payload,
        lane=int(named[LANE]) if LANE in named else lane_of(topic),
        traceparent=trace.decode() if trace else None,
    )


def _foreign(topic: str, source: str, message: Any) -> Record:
    return Record(
        id=uuid5(NAMESPACE_URL, f"{source}:{message.offset}:{message.timestamp}"),
        topic=topic,
        type="",
        source="",
        workspace_id=_NOBODY,
        time=datetime.fromtimestamp(max(message.timestamp, 0) / 1000, UTC),
        key=_text(message.key),
        payload=_text(message.value),
        lane=lane_of(topic),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace").replace("\0", "\ufffd")


def size(value: bytes, key: bytes, pairs: Sequence[tuple[str, bytes]]) -> int:
    """About what the record takes in a batch."""
    return len(value) + len(key) + sum(len(name) + len(text) + 10 for name, text in pairs) + 100
