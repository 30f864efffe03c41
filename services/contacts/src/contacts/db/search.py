"""The dictionary of names' words, and whose they are."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# What a contact is found by, beside its address, phone and external id.
FIELDS = ("first_name", "last_name", "company", "city")


async def lock(tx: Connection, workspace_id: UUID) -> None:
    """Nobody else writes words of this workspace until the transaction ends: one could go while it is linked."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('search' || $1::uuid::text, 0))", workspace_id)


async def touch(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> None:
    """Let the words of these contacts be looked at."""
    await tx.execute(
        "insert into search_touched (workspace_id, contact_ids) values ($1, $2)", workspace_id, list(contact_ids)
    )


async def waiting(tx: Connection) -> list[UUID]:
    """Workspaces with contacts to look at."""
    found = await tx.fetch("select workspace_id from search_touched group by 1 order by random() limit 100")
    return [row["workspace_id"] for row in found]


async def waited_s(tx: Connection) -> float:
    """How long the oldest change waits, in seconds."""
    found: float = await tx.fetchval(
        "select coalesce(extract(epoch from now() - min(at)), 0)::float8 from search_touched"
    )
    return found


_TAKE = """
delete from search_touched t
 using (select id from (
          select id, sum(cardinality(contact_ids)) over (order by id) - cardinality(contact_ids) as before
            from (select id, contact_ids from search_touched where workspace_id = $1 order by id limit 200) oldest
        ) counted where before < $2) taken
 where t.workspace_id = $1 and t.id = taken.id
returning t.contact_ids
"""


async def take(tx: Connection, workspace_id: UUID, most: int) -> list[UUID]:
    """About so many contacts, the oldest changes first. They are out of the queue when the transaction is committed."""
    rows = await tx.fetch(_TAKE, workspace_id, most)
    return list(dict.fromkeys(contact_id for row in rows for contact_id in row["contact_ids"]))


async def texts(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """What the contacts are found by, of those that are there; they stay until the transaction ends."""
    return await tx.fetch(
        "select id, first_name, last_name, company, city from contacts"
        " where workspace_id = $1 and id = any($2::uuid[]) order by id for key share",
        workspace_id,
        list(contact_ids),
    )


async def unknown(tx: Connection, workspace_id: UUID, words: Sequence[str]) -> list[str]:
    """Those of the words that are in no contact yet."""
    rows = await tx.fetch(
        "select w from unnest($2::text[]) w"
        " where not exists (select from search_words s where s.workspace_id = $1 and s.word = w)",
        workspace_id,
        list(words),
    )
    return [row["w"] for row in rows]


_LEARN = """
with known as (
  insert into search_words (workspace_id, word) select $1, w from unnest($2::text[]) w order by w returning id, word
)
insert into search_near (workspace_id, hash, word_id)
select $1, n.hash, k.id from unnest($3::text[], $4::int[]) n (word, hash) join known k on k.word = n.word
 order by n.hash
"""


async def learn(tx: Connection, workspace_id: UUID, words: Mapping[str, Sequence[int]]) -> None:
    """Put unknown words with their hashes into the dictionary."""
    pairs = [(word, number) for word, near in words.items() for number in near]
    await tx.execute(_LEARN, workspace_id, list(words), [word for word, _ in pairs], [number for _, number in pairs])


_LINK = """
with wanted as (
  select p.contact_id, w.id as word_id from unnest($3::uuid[], $4::text[]) p (contact_id, word)
    join search_words w on w.workspace_id = $1 and w.word = p.word
), gone as (
  delete from contact_words c where c.workspace_id = $1 and c.contact_id = any($2::uuid[])
     and not exists (select from wanted n where n.contact_id = c.contact_id and n.word_id = c.word_id)
)
insert into contact_words (workspace_id, word_id, contact_id)
select $1, word_id, contact_id from wanted order by word_id, contact_id on conflict do nothing
"""


async def link(
    tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID], pairs: Sequence[tuple[UUID, str]]
) -> None:
    """Give contacts their words: pairs. What they had before and have no more goes."""
    await tx.execute(_LINK, workspace_id, list(contact_ids), [one for one, _ in pairs], [word for _, word in pairs])


_FORGET = """
with seen as (
  select id from search_words where workspace_id = $1 and id > $2 order by id limit $3
), gone as (
  delete from search_words w using seen
   where w.id = seen.id and w.workspace_id = $1
     and not exists (select from contact_words c where c.workspace_id = $1 and c.word_id = seen.id)
)
select max(id) from seen
"""


async def forget_unused(tx: Connection, workspace_id: UUID, after: int, most: int) -> int | None:
    """Drop words that nobody has, of so many behind an id; the last one looked at, None at the end."""
    last: int | None = await tx.fetchval(_FORGET, workspace_id, after, most)
    return last


async def workspaces(tx: Connection) -> list[UUID]:
    """Where there are words."""
    return [row["workspace_id"] for row in await tx.fetch("select distinct workspace_id from search_words")]


_BEGINNING = """
select a.asked, w.id, w.word from unnest($2::text[]) a (asked)
 cross join lateral (
   select s.id, s.word from search_words s
    where s.workspace_id = $1 and s.word >= a.asked and s.word < a.asked || chr(1114111)
    order by s.word limit $3) w
"""
_NEAR = """
select distinct s.id, s.word from search_near n join search_words s on s.id = n.word_id
 where n.workspace_id = $1 and n.hash = any($2::int[]) limit $3
"""


async def beginning(tx: Connection, workspace_id: UUID, asked: Sequence[str], most: int) -> list[asyncpg.Record]:
    """Words that begin with one of these."""
    return await tx.fetch(_BEGINNING, workspace_id, list(asked), most)


async def near(tx: Connection, workspace_id: UUID, hashes: Sequence[int], most: int) -> list[asyncpg.Record]:
    """Words that share a hash."""
    return await tx.fetch(_NEAR, workspace_id, list(hashes), most)


_COUNTED = """
(select count(*) from (select from contact_words where workspace_id = $1 and word_id = any(${n}::bigint[]) limit $2) c)
"""
_HAVING = """
select distinct contact_id from (
  select contact_id from contact_words where workspace_id = $1 and word_id = any($4::bigint[]) limit $2) c
 where {others} limit $3
"""
_HAS = """
exists (select from contact_words o
         where o.workspace_id = $1 and o.contact_id = c.contact_id and o.word_id = any(${n}::bigint[]))
"""


async def have(tx: Connection, workspace_id: UUID, sets: Sequence[Sequence[int]], most: int) -> list[int]:
    """How many contacts have a word of each set; not counted further than `most`."""
    counts = ", ".join(_COUNTED.format(n=n) for n in range(3, 3 + len(sets)))
    row = await tx.fetchrow(f"select {counts}", workspace_id, most, *map(list, sets))
    return list(row or ())


async def having(
    tx: Connection, workspace_id: UUID, sets: Sequence[Sequence[int]], among: int, most: int
) -> list[UUID]:
    """Contacts with a word of each set, of the first `among` that have one of the first set."""
    others = " and ".join(_HAS.format(n=n) for n in range(5, 4 + len(sets))) or "true"
    rows = await tx.fetch(_HAVING.format(others=others), workspace_id, among, most, *map(list, sets))
    return [row["contact_id"] for row in rows]


async def words(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """The words of contacts."""
    return await tx.fetch(
        "select contact_id, array_agg(word_id) as words from contact_words"
        " where workspace_id = $1 and contact_id = any($2::uuid[]) group by contact_id",
        workspace_id,
        list(contact_ids),
    )


_NAMED = """
(select id from contacts where workspace_id = $1 and email_normalised >= $2 and email_normalised < $2 || chr(1114111)
  order by email_normalised limit $4)
union (select id from contacts where workspace_id = $1 and external_id = $3)
union (select id from contacts where workspace_id = $1 and phone_normalised = $5 limit $4)
"""


async def named(tx: Connection, workspace_id: UUID, asked: str, phone: str | None, most: int) -> list[UUID]:
    """Contacts whose address begins with the text, or whose external id or phone it is."""
    rows = await tx.fetch(_NAMED, workspace_id, asked.lower(), asked, most, phone)
    return [row["id"] for row in rows]
