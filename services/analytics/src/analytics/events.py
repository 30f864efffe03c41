"""What analytics publishes."""

from collections.abc import Sequence

from asyncpg import Record
from common.contracts.leads import ErasureDoneV1, LeadScoredV1
from common.db.pool import Connection
from common.outbox.writer import Outgoing, record


async def leads_scored(tx: Connection, rows: Sequence[Record]) -> None:
    """lead.scored for each stored score that changed."""
    await record(
        tx,
        [
            Outgoing(
                row["workspace_id"],
                LeadScoredV1(
                    contact_id=row["contact_id"],
                    revision=row["revision"],
                    score=row["score"],
                    grade=row["grade"],
                    reasons=row["reasons"],
                ),
            )
            for row in rows
        ],
    )


async def erasures_done(tx: Connection, rows: Sequence[Record]) -> None:
    """erasure.done for people of whom nothing is left here."""
    await record(
        tx,
        [
            Outgoing(
                row["workspace_id"],
                ErasureDoneV1(contact_id=row["contact_id"], request_id=row["request_id"], service="analytics"),
            )
            for row in rows
        ],
    )
