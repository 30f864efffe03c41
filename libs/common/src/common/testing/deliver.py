"""Handing events to a consumer as the runner would, and reading what was published."""

from collections.abc import Sequence
from typing import Any

from common.bus.port import Polled
from common.consumer.batch import Batches
from common.consumer.subscription import Consumer
from common.contracts.envelope import Received, Record
from common.contracts.topics import BY_CONTRACT, BY_NAME
from common.db.pool import Database
from common.outbox.writer import Outgoing

_OUTBOX = "select topic, event_id, workspace_id, time, key, traceparent, payload from outbox order by id"


def as_record(event: Outgoing) -> Record:
    """The event as a transport carries it: through its JSON."""
    topic = BY_CONTRACT[type(event.data)]
    return Record(
        id=event.id,
        topic=topic.name,
        type=topic.type,
        source=topic.owners[0],
        workspace_id=event.workspace_id,
        time=event.time,
        key=str(getattr(event.data, topic.key)),
        payload=event.data.model_dump_json(),
        lane=topic.lane if event.lane is None else event.lane,
        traceparent=event.traceparent,
    )


async def deliver(db: Database, consumer: Consumer, events: Sequence[Outgoing]) -> int:
    """One batch, one transaction. Returns how many were handled; the rest were seen before.

    Errors of handlers are raised, and an event the consumer cannot read is an error. Events of topics it does
    not subscribe to are left out, as the bus would.
    """
    return await deliver_records(db, consumer, [as_record(event) for event in events])


async def deliver_records(db: Database, consumer: Consumer, records: Sequence[Record]) -> int:
    """The same, for events whose JSON is not what today's contracts would write."""
    batches = Batches(consumer)
    subscribed = {BY_CONTRACT[one.contract].name for one in consumer.subscriptions}
    polled = [Polled(record, "test", n) for n, record in enumerate(records) if record.topic in subscribed]
    decoded = batches.decode(polled)
    if decoded.dead:
        raise AssertionError(f"{consumer.name} cannot read {decoded.dead[0]}")
    async with db.transaction() as tx:
        return (await batches.apply(tx, decoded)).handled


async def outbox_events(db: Database, topic: str | None = None) -> list[Received[Any]]:
    """What waits in the outbox, in order, decoded by its contract; only of one topic if named."""
    async with db.connection() as connection:
        rows = await connection.fetch(_OUTBOX)
    return [
        Received(
            row["event_id"],
            row["workspace_id"],
            row["time"],
            row["key"],
            BY_NAME[row["topic"]].contract.model_validate_json(row["payload"]),
            row["traceparent"],
        )
        for row in rows
        if topic in (None, row["topic"])
    ]
