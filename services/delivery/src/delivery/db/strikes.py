"""Failures that block an address only when they come again: a domain that is not there, a mailbox that is full."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

from common.db.pool import Connection

StrikeClass = Literal["bad_domain", "mailbox_full"]
DOMAIN_WITHIN, DOMAIN_TIMES = timedelta(hours=24), 2
FULL_WITHIN, FULL_TIMES = timedelta(days=30), 3

# The statement does not see its own rows: what is new is joined to what was there.
_STRIKE = """
with new as (
  insert into strikes (workspace_id, address_hash, class, mailing_id)
  select distinct on (m.workspace_id, m.address_hash, u.class, m.mailing_id)
         m.workspace_id, m.address_hash, u.class, m.mailing_id
    from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (workspace_id, id, class)
    join messages m on m.workspace_id = u.workspace_id and m.id = u.id
   where m.address_hash is not null
   order by 1, 2, 3, 4
  on conflict do nothing
  returning workspace_id, address_hash, class, mailing_id, at
), standing as (
  select n.workspace_id, n.address_hash, n.class, s.mailing_id, s.at
    from (select distinct workspace_id, address_hash, class from new) n
    join strikes s on s.workspace_id = n.workspace_id and s.address_hash = n.address_hash and s.class = n.class
  union all select * from new
)
select u.workspace_id, u.id, u.class from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (workspace_id, id, class)
  join messages m on m.workspace_id = u.workspace_id and m.id = u.id
 where (select count(*) from standing s
         where s.workspace_id = m.workspace_id and s.address_hash = m.address_hash and s.class = u.class
           and s.at > now() - case u.class when 'bad_domain' then $4::interval else $5::interval end)
       >= case u.class when 'bad_domain' then $6::int else $7::int end
"""

_FORGET_OLD = "delete from strikes where at < now() - $1::interval"

_FORGET = """
delete from strikes s using unnest($1::uuid[], $2::bytea[]) as u (workspace_id, hash)
 where s.workspace_id = u.workspace_id and s.address_hash = u.hash
"""


async def add(
    tx: Connection, workspace_ids: list[UUID], message_ids: list[UUID], classes: list[StrikeClass]
) -> list[tuple[UUID, UUID, StrikeClass]]:
    """Note one failure per mailing and address; those of these messages whose address has had enough."""
    rows = await tx.fetch(
        _STRIKE, workspace_ids, message_ids, classes, DOMAIN_WITHIN, FULL_WITHIN, DOMAIN_TIMES, FULL_TIMES
    )
    return [(row["workspace_id"], row["id"], row["class"]) for row in rows]


async def forget_old(tx: Connection) -> None:
    """Forget what is too old to count."""
    await tx.execute(_FORGET_OLD, max(DOMAIN_WITHIN, FULL_WITHIN))


async def forget(tx: Connection, workspace_ids: list[UUID], hashes: list[bytes]) -> None:
    """Forget the failures of erased people's addresses."""
    await tx.execute(_FORGET, workspace_ids, hashes)
