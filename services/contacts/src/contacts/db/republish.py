"""Telling others again what they keep of contacts, straight from the tables into the outbox.

One page of a table, in the order of its key, is one statement and one short transaction. Consumers drop revisions
they have already, so a page may be told again, and whatever changes meanwhile tells of itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from common.db.pool import Connection

from contacts.db.merge import LEAD

What = Literal["blocks", "leads", "lists", "segments"]

# Behind everything else: this is a flood that nobody waits for.
_PAGE = """
with page as materialized (
  select * from {table} where ({key}) > ({after}) order by {key} limit $1),
told as (
  insert into outbox (lane, topic, type, key, event_id, workspace_id, payload)
  select 2, '{topic}', '{topic}.v1', {subject}, gen_random_uuid(), workspace_id, {payload}
    from page n where {which} order by {key})
select {key}, (select count(*) from page n where {which}) as told from page order by ({key}) desc limit 1
"""

CONSENTS = """
(select coalesce(json_agg(json_build_object('purpose_id', k.purpose_id, 'status', k.status) order by k.purpose_id),
                 '[]')
   from consents k where k.workspace_id = n.workspace_id and k.contact_id = n.id)
"""


@dataclass(frozen=True, slots=True)
class Telling:
    """One table whose rows are told as events of one topic."""

    table: str
    key: tuple[str, ...]
    topic: str
    subject: str
    payload: str
    which: str = "true"

    @property
    def statement(self) -> str:
        """Tells up to $1 rows after the key that follows it."""
        after = ", ".join(f"${n}" for n in range(2, len(self.key) + 2))
        return _PAGE.format(
            table=self.table,
            key=", ".join(self.key),
            after=after,
            topic=self.topic,
            subject=self.subject,
            payload=f"{self.payload}::text",
            which=self.which,
        )


_KEY = ("workspace_id", "id")
_NAMED = "json_build_object('revision', revision, '{kind}_id', id, 'name', name, 'deleted', deleted)"

# What stands at its first state and blocks nobody never blocked anybody. What blocked once and is lifted is told
# too: whoever lost the latest rows, not all of them, may still have the block.
TELLINGS: dict[What, tuple[Telling, ...]] = {
    "blocks": (
        Telling(
            "suppressions",
            _KEY,
            "suppression.changed",
            "encode(hash, 'hex')",
            "json_build_object('revision', revision, 'suppression_id', id, 'scope', scope,"
            " 'hash', encode(hash, 'hex'), 'reason', reason, 'active', active, 'caused_by', caused_by)",
        ),
        Telling(
            "consents",
            ("workspace_id", "contact_id", "purpose_id"),
            "consent.changed",
            "contact_id::text",
            "json_build_object('revision', revision, 'contact_id', contact_id, 'purpose_id', purpose_id,"
            " 'status', case when status = 'subscribed' and paused_until is not null then 'none' else status end,"
            " 'caused_by', caused_by,"
            " 'paused_until', case when status = 'subscribed' then paused_until end)",
            "status <> 'subscribed' or revision > 1",
        ),
    ),
    "leads": (
        Telling("contacts", _KEY, "lead.updated", "id::text", LEAD.format(revision="n.revision", consents=CONSENTS)),
    ),
    "lists": (Telling("lists", _KEY, "list.changed", "id::text", _NAMED.format(kind="list")),),
    "segments": (Telling("segments", _KEY, "segment.changed", "id::text", _NAMED.format(kind="segment")),),
}


async def tell(tx: Connection, telling: Telling, after: Sequence[UUID], rows: int) -> tuple[list[UUID], int] | None:
    """Tell the next rows after a key; the last key and how many were told, or None if there are no more."""
    row = await tx.fetchrow(telling.statement, rows, *after)
    return None if row is None else ([row[name] for name in telling.key], row["told"])
