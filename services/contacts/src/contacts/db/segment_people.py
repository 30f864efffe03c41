"""One contact as rules see it."""

from collections.abc import Sequence
from uuid import UUID

from common.db.pool import Connection

from contacts.domain.segment_evaluation import Activity, Person

_FIELDS = """
select email, first_name, last_name, language, country, timezone, external_id, phone, phone_normalised, company, city,
       owner, created_at, score, stage, attributes, tags
  from contacts where workspace_id = $1 and id = $2
"""


async def person(tx: Connection, workspace_id: UUID, contact_id: UUID, events: Sequence[str]) -> Person | None:
    """The contact with all that a rule may look at; of what happened only these events."""
    contact = await tx.fetchrow(_FIELDS, workspace_id, contact_id)
    if contact is None:
        return None
    key = (workspace_id, contact_id)
    of = "where workspace_id = $1 and contact_id = $2"
    lists = await tx.fetch(f"select list_id from list_members {of}", *key)  # noqa: S608
    consents = await tx.fetch(f"select purpose_id, status from consents {of}", *key)  # noqa: S608
    snapshots = await tx.fetch(f"select snapshot_id from segment_snapshot_members {of}", *key)  # noqa: S608
    money = await tx.fetch(f"select currency, conversions, total, last_at from contact_money {of}", *key)  # noqa: S608
    activity = await tx.fetch(
        f"select type, at, machine, campaign_id, properties from activity {of} and type = any($3)",  # noqa: S608
        *key,
        events,
    )
    fields = dict(contact)
    attributes, tags = fields.pop("attributes"), fields.pop("tags")
    return Person(
        fields=fields,
        attributes=attributes,
        tags=tags,
        lists=frozenset(row["list_id"] for row in lists),
        consents={row["purpose_id"]: row["status"] for row in consents},
        activity=[Activity(*row) for row in activity],
        id=contact_id,
        snapshots=frozenset(row["snapshot_id"] for row in snapshots),
        money={
            row["currency"]: {
                "conversions": float(row["conversions"]),
                "total": float(row["total"]),
                "last_at": row["last_at"],
            }
            for row in money
        },
    )


async def names(tx: Connection, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What lists, segments and snapshots are called."""
    rows = await tx.fetch(
        "select id, name from lists where workspace_id = $1 and id = any($2::uuid[])"
        " union all select id, name from segments where workspace_id = $1 and id = any($2::uuid[])"
        " union all select id, name from segment_snapshots where workspace_id = $1 and id = any($2::uuid[])",
        workspace_id,
        ids,
    )
    return {row["id"]: row["name"] for row in rows}
