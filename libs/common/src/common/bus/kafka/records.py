"""Events as Kafka records: CloudEvents 1.0, Kafka binding, binary mode."""

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from common.bus.port import Polled
from common.contracts.envelope import MAX_EVENT_BYTES, Record
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
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        return Polled(_foreign(topic, source, message), source, message.offset, fault=f"not an event of Barid: {why}")


def _record(topic: str, message: Any) -> Record:
    named = dict(message.headers)
    if message.key is None:
        raise ValueError("it has no key")
    if message.value is None:
        raise ValueError("it has no value")
    # aiokafka asks for 1 MiB a partition; the broker sends a larger message all the same (KIP-74), whatever its size.
    if len(message.value) > MAX_EVENT_BYTES:
        raise ValueError(f"{len(message.value)} bytes; the bus takes {MAX_EVENT_BYTES}")
    time = datetime.fromisoformat(_given(named["ce_time"]))
    if time.tzinfo is None:
        raise ValueError("ce_time has no offset")
    if not 1970 <= time.year < 3000:  # else no database could keep it, not even as a dead letter
        raise ValueError("ce_time is out of range")
    return Record(
        id=UUID(_given(named["ce_id"])),
        topic=topic,
        type=_given(named["ce_type"]),
        source=_given(named["ce_source"]),
        workspace_id=UUID(_given(named["ce_workspaceid"])),
        time=time,
        key=_given(message.key),
        payload=_given(message.value),
        lane=int(named[LANE]) if LANE in named else lane_of(topic),
        traceparent=_given(named["traceparent"]) if named.get("traceparent") else None,
    )


def _given(value: bytes | None) -> str:
    if value is None:
        raise ValueError("a header has no value")
    if b"\0" in value:
        raise ValueError("a NUL byte")
    return value.decode()


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
