"""What analytics publishes."""

from collections.abc import Sequence

from asyncpg import Record
from common.contracts.email import EmailReclassifiedV1
from common.contracts.leads import ErasureDoneV1, LeadScoredV1
from common.contracts.money import ConversionRecordedV1
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


async def reclassified(tx: Connection, clicks: Sequence[Record]) -> None:
    """email.reclassified for each click whose verdict changed."""
    await record(
        tx,
        [
            Outgoing(
                row["workspace_id"],
                EmailReclassifiedV1(
                    event_id=row["event_id"],
                    message_id=row["message_id"],
                    kind=row["kind"],
                    contact_id=row["contact_id"],
                    campaign_id=row["campaign_id"],
                    machine=row["rule"] is not None,
                    machine_rule=row["rule"],
                    revision=row["revision"],
                ),
            )
            for row in clicks
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


async def conversions_recorded(tx: Connection, rows: Sequence[Record]) -> None:
    """conversion.recorded for conversions as they stand now."""
    await record(
        tx,
        [
            Outgoing(
                row["workspace_id"],
                ConversionRecordedV1(
                    conversion_id=row["id"],
                    contact_id=row["contact_id"],
                    campaign_id=row["campaign_id"],
                    amount=row["amount"],
                    refunded=row["refunded"],
                    currency=row["currency"],
                    occurred_at=row["occurred_at"],
                    voided=row["voided"],
                    revision=row["revision"],
                ),
            )
            for row in rows
        ],
    )
