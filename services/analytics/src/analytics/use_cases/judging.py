"""Clicks judged with what is known of their messages now: counters follow, and a changed verdict is told."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection, Database

from analytics import events
from analytics.db import clicks, touches
from analytics.domain.machines import Click, Rules, judge

RULES = Rules()
BATCH = 500
# By then the sending of a message, told on another topic, is known.
SETTLE_S = 10.0


async def judge_clicks(
    tx: Connection, keys: Sequence[tuple[UUID, UUID]], rules: Rules = RULES, *, settle: bool = False
) -> None:
    """Judge all clicks of these (workspace, message), locked by the caller. `settle`: this is the second look."""
    of_message: dict[tuple[UUID, UUID], list[Record]] = defaultdict(list)
    for row in await clicks.of_messages(tx, keys):
        of_message[row["workspace_id"], row["message_id"]].append(row)
    judged: list[tuple[UUID, UUID, UUID, str | None]] = []
    before: dict[UUID, Record] = {}
    for (workspace_id, message_id), rows in of_message.items():
        seen = [Click(row["event_id"], row["at"], row["link"], row["told_rule"], row["composed_at"]) for row in rows]
        verdicts = judge(seen, rows[0]["sent_at"], rules)
        for row in rows:
            rule = verdicts[row["event_id"]]
            if (rule, rules.revision) != (row["rule"], row["rules"]) or (settle and not row["settled"]):
                judged.append((workspace_id, message_id, row["event_id"], rule))
                before[row["event_id"]] = row
    if not judged:
        return
    after = await clicks.set_rules(tx, judged, rules.revision, settled=settle)
    changed = [row for row in after if (row["rule"] is None) != (before[row["event_id"]]["rule"] is None)]
    if changed:
        await touches.move(tx, [row for row in changed if row["kind"] == "campaign" and row["campaign_id"] is not None])
        await events.reclassified(tx, changed)


async def judge_again(db: Database, rules: Rules = RULES) -> None:
    """Judge what other rules judged, and once more what is new, in batches of a transaction each."""
    while True:
        async with db.transaction() as tx:
            keys = await clicks.to_judge(tx, rules.revision, BATCH, SETTLE_S)
            if not keys:
                return
            await clicks.lock(tx, keys)
            await judge_clicks(tx, keys, rules, settle=True)
