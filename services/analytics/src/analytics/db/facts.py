"""Facts about messages, in daily partitions. The event's id is the key, so a repeated event changes nothing."""

from collections.abc import Sequence
from uuid import UUID

from common.contracts.email import EmailClickedV1, EmailData, TrackedData
from common.contracts.envelope import Received
from common.db.pool import Connection

_INSERT = """
insert into facts (workspace_id, event_id, day, at, type, kind, message_id, contact_id, campaign_id, purpose_id,
                   program_id, variant_id, machine, machine_rule, link, url, via)
select f.workspace_id, f.event_id, (f.at at time zone 'UTC')::date, f.at, $1, f.kind, f.message_id, f.contact_id,
       f.campaign_id, f.purpose_id, f.program_id, f.variant_id, f.machine, f.machine_rule, f.link,
       case when t.contact_id is null then f.url end, f.via
from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[],
            $10::uuid[], $11::text[], $12::boolean[], $13::text[], $14::integer[], $15::text[], $16::text[])
  as f (workspace_id, event_id, at, kind, message_id, contact_id, campaign_id, purpose_id, program_id, variant_id,
        machine, machine_rule, link, url, via)
left join tombstones t on t.workspace_id = f.workspace_id and t.contact_id = f.contact_id
on conflict do nothing
returning event_id
"""


async def insert_new(tx: Connection, type_: str, events: Sequence[Received[EmailData]]) -> set[UUID]:
    """Store facts; the ids of those not stored before. An erased contact's URLs are not kept."""
    tracked = [event.data if isinstance(event.data, TrackedData) else None for event in events]
    clicked = [event.data if isinstance(event.data, EmailClickedV1) else None for event in events]
    rows = await tx.fetch(
        _INSERT,
        type_,
        [event.workspace_id for event in events],
        [event.id for event in events],
        [event.time for event in events],
        [event.data.kind for event in events],
        [event.data.message_id for event in events],
        [event.data.contact_id for event in events],
        [event.data.campaign_id for event in events],
        [event.data.purpose_id for event in events],
        [event.data.program_id for event in events],
        [event.data.variant_id for event in events],
        [bool(data and data.machine) for data in tracked],
        [data.machine_rule if data else None for data in tracked],
        [data.link if data else None for data in clicked],
        [(data.url or None) if data else None for data in clicked],
        [data.via if data else None for data in tracked],
    )
    return {row["event_id"] for row in rows}


async def ensure_partitions(tx: Connection) -> None:
    """Make the daily partitions of the next two weeks."""
    await tx.execute("select ensure_facts_partitions(current_date, current_date + 14)")


async def forget(tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> None:
    """Blank what facts hold of erased people beside ids: the URLs they followed."""
    await tx.execute(
        """
        update facts f set url = null
        from unnest($1::uuid[], $2::uuid[]) as e (workspace_id, contact_id)
        where f.workspace_id = e.workspace_id and f.contact_id = e.contact_id and f.url is not null
        """,
        workspace_ids,
        contact_ids,
    )
