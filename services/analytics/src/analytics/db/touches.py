"""Opens, clicks and unsubscribes of a campaign: totals, and uniques by message, machines apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection

from analytics.db import fared
from analytics.db.fared import SHARD

ANY_LINK = -1

_FIRST = """
insert into first_touch (workspace_id, campaign_id, message_id, kind, link)
select distinct w, c, m, k, l from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[])
  as t (w, c, m, k, l) order by w, c, m, k, l
on conflict do nothing
returning workspace_id, campaign_id, message_id, kind, link
"""

_COUNT = f"""
insert into touch_counts (workspace_id, campaign_id, variant_id, kind, link, machine, shard, total, uniques)
select w, c, v, k, l, m, {SHARD}, t, u
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::integer[], $6::boolean[], $7::bigint[], $8::bigint[])
  as d (w, c, v, k, l, m, t, u)
order by w, c, v, k, l, m
on conflict (workspace_id, campaign_id, variant_id, kind, link, machine, shard) do update
  set total = touch_counts.total + excluded.total, uniques = touch_counts.uniques + excluded.uniques
"""  # noqa: S608


_HUMAN_LEFT = """
exists (select from clicks c where c.workspace_id = k.w and c.message_id = k.m and c.rule is null
                               and (k.l = -1 or c.link = k.l))
"""
_KEYS = "unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[]) as k (w, c, m, l)"
_NO_LONGER = f"""
delete from first_touch f using {_KEYS}
 where f.workspace_id = k.w and f.campaign_id = k.c and f.message_id = k.m and f.kind = 'clicked' and f.link = k.l
   and not {_HUMAN_LEFT}
returning f.workspace_id, f.campaign_id, f.message_id, f.link
"""  # noqa: S608
_NOW_FIRST = f"""
insert into first_touch (workspace_id, campaign_id, message_id, kind, link)
select k.w, k.c, k.m, 'clicked', k.l from {_KEYS} where {_HUMAN_LEFT} order by 1, 2, 3, 5
on conflict do nothing
returning workspace_id, campaign_id, message_id, link
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Touch:
    """One open, click or unsubscribe of a campaign's message."""

    workspace_id: UUID
    campaign_id: UUID
    message_id: UUID
    variant_id: str
    kind: str
    link: int
    url: str | None
    machine: bool


async def add(tx: Connection, touches: Sequence[Touch]) -> None:
    """Count touches that were not counted before. A message's first human touch makes it a unique one."""
    if not touches:
        return
    human = [touch for touch in touches if not touch.machine]
    # A click counts for its link and for the message: two first touches.
    keys = {(t.workspace_id, t.campaign_id, t.message_id, t.kind, link) for t in human for link in {t.link, ANY_LINK}}
    first = set()
    if fared_keys := [key for key in keys if key[3] in fared.TOUCHES]:
        first |= {tuple(row) for row in await fared.first_touches(tx, fared_keys)}
    if others := sorted(keys.difference(fared_keys)):
        first |= {tuple(row) for row in await tx.fetch(_FIRST, *(list(column) for column in zip(*others, strict=True)))}
    totals: Counter[tuple[UUID, UUID, str, str, int, bool]] = Counter()
    uniques: Counter[tuple[UUID, UUID, str, str, int, bool]] = Counter()
    for touch in touches:
        for link in {touch.link, ANY_LINK}:
            counter = (touch.workspace_id, touch.campaign_id, touch.variant_id, touch.kind, link, touch.machine)
            totals[counter] += 1
            key = (touch.workspace_id, touch.campaign_id, touch.message_id, touch.kind, link)
            if not touch.machine and key in first:
                first.discard(key)
                uniques[counter] += 1
    columns = zip(*totals, strict=True)
    await tx.execute(
        _COUNT, *(list(column) for column in columns), list(totals.values()), [uniques[key] for key in totals]
    )
    links = {(t.workspace_id, t.campaign_id, t.link): t.url for t in touches if t.url is not None}
    if links:
        await tx.execute(
            """
            insert into links (workspace_id, campaign_id, link, url)
            select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[]) on conflict do nothing
            """,
            *(list(column) for column in zip(*links, strict=True)),
            list(links.values()),
        )


async def move(tx: Connection, clicks: Sequence[Record]) -> None:
    """Count clicks of campaigns on the other side, after their rows in `clicks` were changed to it."""
    if not clicks:
        return
    totals: Counter[tuple[UUID, UUID, str, str, int, bool]] = Counter()
    uniques: Counter[tuple[UUID, UUID, str, str, int, bool]] = Counter()
    variants: dict[tuple[UUID, UUID, UUID, int], str] = {}
    for row in clicks:
        machine = row["rule"] is not None
        for link in {row["link"], ANY_LINK}:
            counter = (row["workspace_id"], row["campaign_id"], row["variant_id"], "clicked", link)
            totals[*counter, machine] += 1
            totals[*counter, not machine] -= 1
            variants[row["workspace_id"], row["campaign_id"], row["message_id"], link] = row["variant_id"]
    columns = [list(column) for column in zip(*sorted(variants), strict=True)]
    for text, n in ((_NO_LONGER, -1), (_NOW_FIRST, 1)):
        for row in await tx.fetch(text, *columns):
            key = (row["workspace_id"], row["campaign_id"], row["message_id"], row["link"])
            uniques[key[0], key[1], variants[key], "clicked", key[3], False] += n
    keys = sorted(key for key in {*totals, *uniques} if totals[key] or uniques[key])
    if keys:
        await tx.execute(
            _COUNT,
            *(list(column) for column in zip(*keys, strict=True)),
            [totals[key] for key in keys],
            [uniques[key] for key in keys],
        )


async def of_campaign(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> list[Record]:
    """Rows (kind, machine, total, uniques) over all links and variants."""
    return await tx.fetch(
        """
        select kind, machine, sum(total)::bigint as total, sum(uniques)::bigint as uniques from touch_counts
        where workspace_id = $1 and campaign_id = $2 and link = $3 group by kind, machine
        """,
        workspace_id,
        campaign_id,
        ANY_LINK,
    )


async def links_of_campaign(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> list[Record]:
    """Rows (link, url, total, uniques): human clicks by link, the most clicked first."""
    return await tx.fetch(
        """
        select t.link, l.url, sum(t.total)::bigint as total, sum(t.uniques)::bigint as uniques
        from touch_counts t
        join links l on l.workspace_id = t.workspace_id and l.campaign_id = t.campaign_id and l.link = t.link
        where t.workspace_id = $1 and t.campaign_id = $2 and t.kind = 'clicked' and not t.machine
        group by t.link, l.url order by total desc, t.link limit 200
        """,
        workspace_id,
        campaign_id,
    )
