"""Each workspace's scoring rules; without its own, the default ones."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from common.db.pool import Connection

from analytics.domain.scoring import DEFAULT_GRADES, DEFAULT_RULES, Rule


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules and grade thresholds; revision 0 is the default set."""

    revision: int
    rules: tuple[Rule, ...]
    grades: tuple[tuple[str, float], ...]


DEFAULT = RuleSet(0, DEFAULT_RULES, DEFAULT_GRADES)


async def of_workspaces(tx: Connection, workspace_ids: Sequence[UUID]) -> dict[UUID, RuleSet]:
    """The rule set of each workspace."""
    rows = await tx.fetch(
        "select workspace_id, revision, rules, grades from scoring_rules where workspace_id = any($1::uuid[])",
        workspace_ids,
    )
    found = {
        row["workspace_id"]: RuleSet(
            row["revision"],
            tuple(Rule(**rule) for rule in row["rules"]),
            tuple((grade, float(threshold)) for grade, threshold in row["grades"]),
        )
        for row in rows
    }
    return {workspace_id: found.get(workspace_id, DEFAULT) for workspace_id in workspace_ids}


async def replace(
    tx: Connection, workspace_id: UUID, rules: Sequence[Rule], grades: Sequence[tuple[str, float]]
) -> int:
    """Store a workspace's rules; the new revision. Every scored contact of it is scored again."""
    revision: int = await tx.fetchval(
        """
        insert into scoring_rules (workspace_id, rules, grades) values ($1, $2, $3)
        on conflict (workspace_id) do update
          set rules = excluded.rules, grades = excluded.grades,
              revision = scoring_rules.revision + 1, updated_at = now()
        returning revision
        """,
        workspace_id,
        [asdict(rule) for rule in rules],
        [list(grade) for grade in grades],
    )
    await tx.execute(
        """
        insert into score_due (workspace_id, contact_id, due_at)
        select distinct workspace_id, contact_id, now() from score_events where workspace_id = $1
        on conflict do nothing
        """,
        workspace_id,
    )
    return revision
