"""What runs periodically: reaping, sweeping, and telling campaigns how far they are."""

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from common import metrics
from common.contracts.delivery import DeliveryProgressedV1
from common.db.pool import Connection, Database
from common.outbox.writer import Outgoing, record

from delivery import events
from delivery.db import budgets, mailers, progress, provider_endpoints, returns, routes, strikes, sweeps, warmups
from delivery.domain.balance import Balance, balance_of
from delivery.domain.ledger import OPEN
from delivery.domain.limits import REST
from delivery.domain.providers import PROVIDERS
from delivery.domain.smtp_replies import is_full
from delivery.smtp.route import PLATFORM
from delivery.use_cases.blocking import Failure, block_failed
from delivery.use_cases.record_outcomes import count, hold_refused

log = logging.getLogger(__name__)


async def reap_mailers(db: Database) -> None:
    """What a gone mailer had under its intents becomes uncertain."""
    async with db.transaction() as tx:
        rows, gone = await mailers.reap(tx)
        await budgets.forget(tx)
        await events.statuses(tx, rows)
    count(rows)
    metrics.LEASES_EXPIRED.labels("mailer").inc(gone)
    if rows:
        log.warning("a mailer is gone; its messages are uncertain", extra={"n": len(rows)})


async def sweep(db: Database) -> None:
    """Cancelled, expired, retried: in batches, each its own transaction, until little is left."""
    async with db.transaction() as tx:
        await sweeps.revive(tx)
    async with db.transaction() as tx:
        more = await sweeps.cancel(tx)
    while more == sweeps.BATCH:
        async with db.transaction() as tx:
            more = await sweeps.cancel(tx)
    async with db.transaction() as tx:
        expired = await sweeps.expire(tx)
        block_ids = await block_failed(
            tx,
            [
                Failure("mailbox_full", row["workspace_id"], row["id"])
                for row in expired
                if row["class"] == "refused_too_long" and is_full(row["smtp_enhanced"], row["smtp_text"])
            ],
        )
        await events.statuses(tx, expired, block_ids)
    count(expired)
    async with db.transaction() as tx:
        await sweeps.retry_once(tx)
    async with db.transaction() as tx:
        await sweeps.rest(tx)


async def forget_returns(db: Database) -> None:
    """What came back long ago, and what nobody could read or match."""
    async with db.transaction() as tx:
        await returns.forget_old(tx)
        await strikes.forget_old(tx)
        await provider_endpoints.forget_nonces(tx)


async def measure_ledger(db: Database) -> None:
    """What is open, and what is uncertain."""
    async with db.connection() as connection:
        found = await progress.standing(connection)
    for status in (*OPEN, "held", "uncertain"):
        metrics.LEDGER.labels(status).set(found.get(status, 0))


async def measure_shaping(db: Database) -> None:
    """What providers and plans let through."""
    async with db.connection() as connection:
        paces = await budgets.everywhere(connection)
        metrics.ROUTES_FAILING.set(await routes.failing(connection))
        metrics.WARMUPS_FULL.set(await warmups.full(connection))
    slowed, paused, left = Counter[str](), Counter[str](), dict.fromkeys((*PROVIDERS, REST), 1.0)
    for row in paces:
        pace, now, provider = budgets.pace_of(row), row["now"], row["provider"]
        slowed[provider] += pace.rate(now, None) is not None
        paused[provider] += pace.paused_until > now
        if row["route_id"] == PLATFORM:
            left[provider] = pace.left(now)
    for provider, ratio in left.items():
        metrics.BUDGET_LEFT.labels(provider).set(ratio)
        if provider != REST:
            metrics.ROUTES_SLOWED.labels(provider).set(slowed[provider])
            metrics.ROUTES_PAUSED.labels(provider).set(paused[provider])


async def publish_progress(db: Database) -> None:
    """Tell of every campaign whose counters or state changed, at most once a second each."""
    async with db.transaction() as tx:
        due = await progress.due(tx)
        if not due:
            return
        rows = await progress.states(tx, [row["workspace_id"] for row in due], [row["mailing_id"] for row in due])
        known = {(row["workspace_id"], row["mailing_id"]): row for row in due}
        outgoing = [
            Outgoing(row["workspace_id"], await _told(tx, row, known[(row["workspace_id"], row["id"])])) for row in rows
        ]
        await record(tx, outgoing)
    for row in rows:
        before = known[(row["workspace_id"], row["id"])]["published"] or {}
        if not before.get("sent") and row["counts"].get("sent:"):
            metrics.FIRST_MAIL_SECONDS.observe((datetime.now(UTC) - row["at"]).total_seconds())
    running = {(row["workspace_id"], row["id"]) for row in rows if row["state"] == "running"}
    if running:
        await hold_refused(db, running)


async def _told(tx: Connection, row: asyncpg.Record, due: asyncpg.Record) -> DeliveryProgressedV1:
    workspace_id: UUID = row["workspace_id"]
    before: dict[str, Any] = due["published"] or {}
    balance, bump = balance_of(row["counts"]), 0
    complete = row["eligible"] is not None and balance.open == 0 and balance.rows == row["eligible"]
    retrying = row["uncertain_policy"] == "retry_once" and row["state"] != "cancelled" and row["unsent_uncertain"]
    final = complete and not retrying and not row["marked"]
    if final and not before.get("final"):
        counted = balance_of(await progress.recount(tx, workspace_id, row["id"]))
        if counted != balance:
            metrics.LEDGER_MENDED.labels("delivery").inc()
            about = {"workspace_id": str(workspace_id), "campaign_id": str(row["id"])}
            log.error("the counters differed from the ledger", extra=about)
            await progress.mend(tx, workspace_id, row["id"])
            balance, bump = counted, 1
            final = counted.open == 0 and counted.rows == row["eligible"]
    state_revision = before.get("state_revision", 0) if row["marked"] else row["state_revision"]
    told = _event(row, due["revision"] + bump, balance, state_revision, final)
    resting = balance.open > 0 and not row["active"]
    again = state_revision != row["state_revision"] or (complete and not final) or resting
    await progress.published(
        tx, workspace_id, row["id"], told.model_dump(mode="json"), again=again, bump=bump + (1 if again else 0)
    )
    return told


def _event(
    row: asyncpg.Record, revision: int, balance: Balance, state_revision: int, final: bool
) -> DeliveryProgressedV1:
    return DeliveryProgressedV1(
        campaign_id=row["id"],
        revision=revision,
        eligible=row["eligible"],
        rows=balance.rows,
        sent=balance.sent,
        failed=balance.failed,
        suppressed=balance.suppressed,
        uncertain=balance.uncertain,
        expired=balance.expired,
        cancelled=balance.cancelled,
        open=balance.open,
        deferred=balance.deferred,
        state_revision=state_revision,
        final=final,
    )
