"""Who reads what: members of a group share its partitions by leases, by the database's clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from common.bus.postgres.places import ALL, SOURCES, source_name
from common.db.pool import Connection

_ENTER = """
with gone as (delete from bus_member where group_name = $1 and expires_at < clock_timestamp() and member <> $2)
insert into bus_member (group_name, member, expires_at)
values ($1, $2, clock_timestamp() + make_interval(secs => $3))
on conflict (group_name, member) do update set expires_at = excluded.expires_at
"""
_MEMBERS = "select member from bus_member where group_name = $1 and expires_at >= clock_timestamp() order by member"
_PLACES = """
insert into bus_lease (group_name, lane, part) select $1, * from unnest($2::smallint[], $3::smallint[])
on conflict do nothing
"""
_TAKE = """
update bus_lease set owner = $2, epoch = epoch + (owner is distinct from $2)::int,
                     expires_at = clock_timestamp() + make_interval(secs => $3)
where group_name = $1
  and (owner = $2 or ((lane, part) in (select * from unnest($4::smallint[], $5::smallint[]))
                      and (owner is null or expires_at < clock_timestamp())))
returning lane, part
"""
_RELEASE = """
update bus_lease set owner = null, expires_at = '-infinity'
where group_name = $1 and owner = $2 and (lane, part) in (select * from unnest($3::smallint[], $4::smallint[]))
"""
_LEAVE = """
with gone as (delete from bus_member where group_name = $1 and member = $2)
update bus_lease set owner = null, expires_at = '-infinity' where group_name = $1 and owner = $2
"""
_MIRROR = """
insert into bus_offset (group_name, lane, part, next_offset)
select $1, * from unnest($2::smallint[], $3::smallint[], $4::bigint[])
on conflict (group_name, lane, part) do update set next_offset = excluded.next_offset, at = now()
"""


@dataclass(frozen=True, slots=True)
class Membership:
    """What one heartbeat learned: the sources held now, and those of them to give up after the batch at hand."""

    held: frozenset[str]
    surplus: frozenset[str]


async def heartbeat(tx: Connection, group: str, member: UUID, ttl_s: float) -> Membership:
    """Renew, and take what is free and due to this member. One member of a group at a time."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('bus_lease ' || $1, 0))", group)
    await tx.execute(_ENTER, group, member, ttl_s)
    members = [row["member"] for row in await tx.fetch(_MEMBERS, group)]
    due = [place for n, place in enumerate(ALL) if members[n % len(members)] == member]
    arguments = ([lane for lane, _ in due], [part for _, part in due])
    rows = await tx.fetch(_TAKE, group, member, ttl_s, *arguments)
    if not rows and due:
        await tx.execute(_PLACES, group, [lane for lane, _ in ALL], [part for _, part in ALL])
        rows = await tx.fetch(_TAKE, group, member, ttl_s, *arguments)
    held = frozenset(source_name(row["lane"], row["part"]) for row in rows)
    return Membership(held, held - {source_name(*place) for place in due})


async def release(tx: Connection, group: str, member: UUID, sources: frozenset[str]) -> None:
    """Give sources up, for others to take at their next heartbeat."""
    places = [SOURCES[source] for source in sources]
    await tx.execute(_RELEASE, group, member, [lane for lane, _ in places], [part for _, part in places])


async def leave(tx: Connection, group: str, member: UUID) -> None:
    """Give everything up."""
    await tx.execute(_LEAVE, group, member)


async def mirror(tx: Connection, group: str, positions: Mapping[str, int]) -> None:
    """Note the consumer's offsets, to show lag."""
    places = [SOURCES[source] for source in positions]
    await tx.execute(
        _MIRROR, group, [lane for lane, _ in places], [part for _, part in places], list(positions.values())
    )
