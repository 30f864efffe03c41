"""Outcomes, counters, blocks, events and the intents they end: one transaction per batch, or two."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg
from common import metrics
from common.db.pool import TRANSIENT, Database
from common.telemetry import current_traceparent

from delivery import events
from delivery.db import marks, outcomes
from delivery.db.outcomes import Outcome
from delivery.use_cases.blocking import Failure, block_failed

# Failures by which a campaign may be held.
HOLDING = frozenset({"policy", "bad_mailbox", "bad_domain"})

log = logging.getLogger(__name__)


async def record_outcomes(db: Database, mailer_id: UUID, epoch: int, batch: Sequence[Outcome]) -> None:
    """Write a batch. Raises what the database raises when it is away: what was not written then can be tried again."""
    accepted = [outcome for outcome in batch if outcome.status == "sent"]
    others = [outcome for outcome in batch if outcome.status != "sent"]
    if accepted:
        async with db.connection() as connection:
            sent = await outcomes.accept(connection, mailer_id, epoch, accepted, current_traceparent())
        for provider, n in sent.items():
            metrics.SENDS.labels("sent", "", provider).inc(n)
    if others:
        await _record_others(db, mailer_id, epoch, others)


async def _record_others(db: Database, mailer_id: UUID, epoch: int, batch: Sequence[Outcome]) -> None:
    async with db.transaction() as tx:
        rows = await outcomes.settle(tx, batch)
        await outcomes.refile(tx, batch)
        failed = [row for row in rows if row["status"] == "failed"]
        block_ids = await block_failed(tx, [Failure(row["class"], row["workspace_id"], row["id"]) for row in failed])
        await events.statuses(tx, rows, block_ids)
        await marks.unmark(tx, mailer_id, epoch, [o.workspace_id for o in batch], [o.id for o in batch])
    count(rows)
    refused = {(row["workspace_id"], row["mailing_id"]) for row in failed if row["class"] in HOLDING}
    if refused:
        await hold_refused(db, refused)


def count(rows: Iterable[asyncpg.Record]) -> None:
    """Count what became of messages, once it is committed."""
    found = Counter((row["status"], row["class"], row["provider"]) for row in rows)
    for (status, klass, provider), n in found.items():
        metrics.SENDS.labels(status, klass, provider).inc(n)


async def record_one_by_one(db: Database, mailer_id: UUID, epoch: int, batch: Sequence[Outcome]) -> None:
    """After a data error: each by itself, without what the server said where that is what cannot be stored."""
    for outcome in batch:
        try:
            await record_outcomes(db, mailer_id, epoch, [outcome])
        except TRANSIENT:
            raise
        except Exception:
            about = {"workspace_id": str(outcome.workspace_id), "message_id": str(outcome.id)}
            log.exception("outcome cannot be stored as it is", extra=about)
            bare = Outcome(
                outcome.workspace_id,
                outcome.id,
                outcome.attempt,
                outcome.status,
                outcome.klass,
                outcome.wait,
                at=outcome.at,
                route_id=outcome.route_id,
                provider=outcome.provider,
            )
            await record_outcomes(db, mailer_id, epoch, [bare])


async def hold_refused(db: Database, keys: set[tuple[UUID, UUID]], workspace_id: UUID | None = None) -> None:
    """Hold campaigns that meet policy refusals, hard bounces or complaints beyond measure.

    A transaction of its own: mailings are locked before messages, and here the messages came first. The same is
    asked periodically, so a crash in between loses nothing.
    """
    async with db.transaction(workspace_id) as tx:
        ordered = sorted(keys)
        held = await outcomes.hold_refused(tx, [key[0] for key in ordered], [key[1] for key in ordered])
        await events.held(tx, held)
