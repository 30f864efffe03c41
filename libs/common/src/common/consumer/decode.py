"""From a transport's record to a typed event."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from common.bus.port import Polled
from common.consumer.subscription import Consumer, Subscription
from common.contracts.base import EventData
from common.contracts.envelope import Received
from common.contracts.topics import BY_CONTRACT

_ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Dead:
    """A record that cannot be handled, with its place and the reason."""

    polled: Polled
    error: str


def by_type(consumer: Consumer) -> dict[str, Subscription]:
    """The consumer's subscriptions by CloudEvents type."""
    return {BY_CONTRACT[one.contract].type: one for one in consumer.subscriptions}


def topics(consumer: Consumer) -> list[str]:
    """The topics the consumer reads."""
    return sorted({BY_CONTRACT[one.contract].name for one in consumer.subscriptions})


def decode(subscriptions: Mapping[str, Subscription], polled: Polled) -> Received[EventData] | Dead:
    """The event, validated; or why it is none."""
    record = polled.record
    if polled.fault is not None:
        return Dead(polled, polled.fault[:_ERROR_CHARACTERS])
    subscription = subscriptions.get(record.type)
    if subscription is None:
        return Dead(polled, f"unknown type {record.type!r} in topic {record.topic!r}")
    try:
        data = subscription.contract.model_validate_json(record.payload)
    except ValidationError as error:
        # Places and kinds only: the values may be personal data.
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False)]
        return Dead(polled, f"undecodable: {'; '.join(faults)}"[:_ERROR_CHARACTERS])
    return Received(record.id, record.workspace_id, record.time, record.key, data, record.traceparent)


def described(error: BaseException) -> str:
    """An exception in one line, as a dead letter keeps it."""
    return f"{type(error).__name__}: {error}".replace("\x00", "")[:_ERROR_CHARACTERS]
