"""Search: keeping the words of contacts, and finding contacts by words that may be misspelt or half typed.

Words are written by a job, not by who writes contacts: an import must not wait for an index of letters (ADR 0033).
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from common import metrics
from common.db.pool import Connection, Database

from contacts.db import search
from contacts.db.segment_members import Touched
from contacts.domain.search_words import EXACT, likeness, near, words_of, words_of_person
from contacts.domain.segment_mentions import EVERYTHING
from contacts.errors import NothingToSearch

FOLLOW_S = 20.0  # one turn of the periodic; then another process may take it
POLL_S = 0.5
AT_ONCE = 2_000
MOST_ASKED = 6
MOST_WORDS = 40  # that a word asked for may stand for
MOST_FOUND = 500  # contacts that are ranked; who wants more asks more precisely
MOST_LOOKED_AT = 20_000  # contacts that have the rarest word; others of a more frequent one may be missed
_NEAR = 1_000  # words that share a hash with those asked for
_LOOKED_THROUGH = 5_000  # words of the dictionary at once


@dataclass(frozen=True, slots=True)
class Found:
    """A contact and how well it answers: 1 for each word asked for that it has."""

    rank: float
    contact_id: UUID


async def note(tx: Connection, workspace_id: UUID, touched: Sequence[Touched]) -> None:
    """Let the words of contacts be looked at whose names may have changed."""
    names = {EVERYTHING, *search.FIELDS}
    ids = {one for change in touched if not names.isdisjoint(change.what) for one in change.contact_ids}
    if ids:
        await search.touch(tx, workspace_id, sorted(ids))


async def follow(db: Database, for_s: float = FOLLOW_S) -> None:
    """Bring the words up to date, again and again."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        if not await catch_up(db):
            await asyncio.sleep(POLL_S)


async def catch_up(db: Database) -> bool:
    """One step for every workspace where something waits; whether there was any."""
    async with db.connection() as connection:
        workspaces = await search.waiting(connection)
        metrics.SEARCH_BEHIND.set(await search.waited_s(connection))
    for workspace_id in workspaces:
        async with db.transaction(workspace_id) as tx:
            await _index(tx, workspace_id)
    return bool(workspaces)


async def _index(tx: Connection, workspace_id: UUID) -> None:
    await search.lock(tx, workspace_id)
    ids = await search.take(tx, workspace_id, AT_ONCE)
    rows = await search.texts(tx, workspace_id, ids)
    pairs = [
        (row["id"], word)
        for row in rows
        for word in words_of_person((row["first_name"], row["last_name"]), (row["company"], row["city"]))
    ]
    missing = await search.unknown(tx, workspace_id, sorted({word for _, word in pairs}))
    if missing:
        await search.learn(tx, workspace_id, {word: near(workspace_id, word) for word in missing})
    await search.link(tx, workspace_id, ids, pairs)


async def forget_unused(db: Database) -> None:
    """Drop words that no contact has any more."""
    async with db.connection() as connection:
        workspaces = await search.workspaces(connection)
    for workspace_id in workspaces:
        after: int | None = 0
        while after is not None:
            async with db.transaction(workspace_id) as tx:
                await search.lock(tx, workspace_id)
                after = await search.forget_unused(tx, workspace_id, after, _LOOKED_THROUGH)


async def find(
    tx: Connection, workspace_id: UUID, text: str, phone: str | None, after: Found | None, limit: int
) -> list[Found]:
    """The contacts that answer best, of those behind `after`. Raises NothingToSearch."""
    asked = words_of([text], MOST_ASKED)
    if not asked:
        raise NothingToSearch
    meant = await _meant(tx, workspace_id, asked)
    exact = [[word for word, rank in one.items() if rank == EXACT] for one in meant]
    ids = await _having(tx, workspace_id, exact)
    if len(ids) < MOST_FOUND:
        ids += await _having(tx, workspace_id, [list(one) for one in meant])
    ranks = {row["contact_id"]: _rank(meant, row["words"]) for row in await search.words(tx, workspace_id, ids)}
    for contact_id in await search.named(tx, workspace_id, text.strip(), phone, MOST_FOUND):
        ranks[contact_id] = max(ranks.get(contact_id, 0.0), float(len(asked)))
    found = sorted((Found(rank, one) for one, rank in ranks.items()), key=_order)
    return [one for one in found if after is None or _order(one) > _order(after)][:limit]


def _order(one: Found) -> tuple[float, UUID]:
    return -one.rank, one.contact_id


async def _meant(tx: Connection, workspace_id: UUID, asked: Sequence[str]) -> list[dict[int, float]]:
    """For each word asked for, the ids of words that it may stand for, and how well."""
    hashes = sorted({number for word in asked for number in near(workspace_id, word)})
    rows = [
        *await search.beginning(tx, workspace_id, asked, MOST_WORDS),
        *await search.near(tx, workspace_id, hashes, _NEAR),
    ]
    words = {row["id"]: row["word"] for row in rows}
    return [_best((number, likeness(one, word)) for number, word in words.items()) for one in asked]


async def _having(tx: Connection, workspace_id: UUID, sets: Sequence[Sequence[int]]) -> list[UUID]:
    """Contacts with a word of each set: those with one of the rarest set are looked through for the others."""
    if not all(sets):
        return []
    numbers = await search.have(tx, workspace_id, sets, MOST_LOOKED_AT)
    rarest_first = [one for _, one in sorted(zip(numbers, sets, strict=True), key=lambda pair: pair[0])]
    return await search.having(tx, workspace_id, rarest_first, MOST_LOOKED_AT, MOST_FOUND)


def _best(ranked: Iterable[tuple[int, float]]) -> dict[int, float]:
    best = sorted(((number, rank) for number, rank in ranked if rank), key=lambda one: -one[1])
    return dict(best[:MOST_WORDS])


def _rank(meant: Sequence[Mapping[int, float]], words: Sequence[int]) -> float:
    return round(sum(max((one[number] for number in words if number in one), default=0.0) for one in meant), 3)
