"""Appending to the log.

Every append takes one lock before its first insert and holds it until its commit, so ids are in commit order
over all appenders, and a reader that has seen an id has seen all lower ones.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from common.bus.port import BusUnavailable
from common.bus.postgres.places import CHANNEL, part_of
from common.contracts.envelope import Record
from common.db.pool import Connection, Database

APPEND_LOCK = 7_262_001
COLUMNS = (
    "lane", "part", "topic", "type", "source", "key", "event_id", "workspace_id", "time", "at",
    "traceparent", "payload",
)  # fmt: skip
_NOTIFY_BYTES = 7900
_SEALED = "55000"

_LOCK = "select pg_advisory_xact_lock($1), clock_timestamp() as at"
_FINISH = """
with head as (update log_head set next_id = currval('log_id_seq') + 1)
select pg_notify($1, $2)
"""


class LogSealed(BusUnavailable):
    """The log takes nothing more: `barid drain` moves this installation to Kafka; when it is done, set BARID_BUS=kafka.

    Until then the events wait in the outbox.
    """

    code = "log_sealed"


class PostgresProducer:
    """Appends with COPY, and wakes the readers once per append."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def publish(self, records: Sequence[Record]) -> None:
        """Append all, or none."""
        if not records:
            return
        async with self._db.transaction() as tx:
            await append(tx, records)

    async def ready(self) -> None:
        """Raise when the bus database cannot be reached."""
        async with self._db.connection() as connection:
            await connection.execute("select 1")

    async def close(self) -> None:
        """Nothing is buffered."""


async def append(tx: Connection, records: Sequence[Record]) -> None:
    """Append within the caller's transaction, which must commit at once: it holds every appender up.

    Raises LogSealed.
    """
    locked = await tx.fetchrow(_LOCK, APPEND_LOCK)
    assert locked is not None  # noqa: S101 - a select without a condition has a row
    at: datetime = locked["at"]
    await tx.copy_records_to_table(
        "log",
        columns=COLUMNS,
        records=[
            (
                record.lane,
                part_of(record.key),
                record.topic,
                record.type,
                record.source,
                record.key,
                record.id,
                record.workspace_id,
                record.time,
                at,
                record.traceparent,
                record.payload,
            )
            for record in records
        ],
    )
    topics = " ".join(sorted({record.topic for record in records}))
    try:
        await tx.execute(_FINISH, CHANNEL, topics if len(topics) < _NOTIFY_BYTES else "")
    except asyncpg.ObjectNotInPrerequisiteStateError as error:
        if error.sqlstate == _SEALED:
            raise LogSealed from error
        raise
