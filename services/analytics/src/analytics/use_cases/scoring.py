"""Scoring contacts whose time has come."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db.pool import Connection

from analytics import events
from analytics.db import scores, scoring_rules
from analytics.domain.scoring import Rule, Score, Scored, score

BATCH = 2000


async def score_due_contacts(tx: Connection, now: datetime) -> int:
    """Score a batch of contacts anew and publish those that changed; how many were looked at."""
    pairs = await scores.take_due(tx, BATCH)
    if not pairs:
        return 0
    by_contact: dict[tuple[UUID, UUID], list[Scored]] = {pair: [] for pair in pairs}
    for row in await scores.events_of(tx, pairs):
        by_contact[row["workspace_id"], row["contact_id"]].append(Scored(row["event_id"], row["type"], row["at"]))
    rule_sets = await scoring_rules.of_workspaces(tx, list({workspace_id for workspace_id, _ in pairs}))
    results = [
        (workspace_id, contact_id, score(found, rule_sets[workspace_id].rules, rule_sets[workspace_id].grades, now))
        for (workspace_id, contact_id), found in by_contact.items()
    ]
    await events.leads_scored(tx, await scores.save(tx, results))
    return len(pairs)


async def score_now(tx: Connection, workspace_id: UUID, contact_id: UUID, now: datetime) -> Score:
    """A contact's score at this moment, with every reason."""
    rows = await scores.events_of(tx, [(workspace_id, contact_id)])
    rule_set = (await scoring_rules.of_workspaces(tx, [workspace_id]))[workspace_id]
    found = [Scored(row["event_id"], row["type"], row["at"]) for row in rows]
    return score(found, rule_set.rules, rule_set.grades, now)


async def replace_rules(
    tx: Connection, workspace_id: UUID, rules: Sequence[Rule], grades: Sequence[tuple[str, float]]
) -> int:
    """Store a workspace's rules; its contacts are scored again by them. The new revision."""
    return await scoring_rules.replace(tx, workspace_id, rules, grades)
