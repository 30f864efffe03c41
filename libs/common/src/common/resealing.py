"""After BARID_SEALING_KEYS got a new first key: everything sealed anew, so that the old one may go."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from common.db.pool import Connection, Database
from common.sealing import CannotOpen, Sealer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A table with a sealed column; `key`: the rest of its primary key."""

    table: str
    column: str
    key: tuple[str, ...]


Key = tuple[UUID, *tuple[UUID | str, ...]]


async def _not_begun_by(tx: Connection, place: Place, header: bytes) -> list[Key]:
    """Primary keys of rows whose secret another key than the current one sealed."""
    rows = await tx.fetch(
        f"select workspace_id, {', '.join(place.key)} from {place.table}"  # noqa: S608
        f" where {place.column} is not null and substring({place.column} from 1 for $2) <> $1 order by 1, 2",
        header,
        len(header),
    )
    return [tuple(row) for row in rows]


async def _lock(tx: Connection, place: Place, key: Sequence[UUID | str]) -> bytes | None:
    """The sealed value of a row, which is locked; None where there is none any more."""
    found: bytes | None = await tx.fetchval(
        f"select {place.column} from {place.table} where {_where(place)} for update",  # noqa: S608
        *key,
    )
    return found


async def _replace(tx: Connection, place: Place, key: Sequence[UUID | str], sealed: bytes) -> None:
    """The same secret, sealed by another key."""
    await tx.execute(
        f"update {place.table} set {place.column} = ${len(key) + 1} where {_where(place)}",  # noqa: S608
        *key,
        sealed,
    )


def _where(place: Place) -> str:
    return " and ".join(f"{column} = ${n}" for n, column in enumerate(("workspace_id", *place.key), 1))


async def reseal(db: Database, sealer: Sealer, places: Sequence[tuple[Place, Callable[..., str]]]) -> tuple[int, int]:
    """Seal by the current key what another one sealed, a row a transaction: (how many were, how many do not open).

    `places`: with what makes the context of a primary key.
    """
    done = refused = 0
    for place, context in places:
        async with db.transaction() as tx:
            keys = await _not_begun_by(tx, place, sealer.header)
        for key in keys:
            try:
                done += await _one(db, sealer, place, key, context(*key))
            except CannotOpen as error:
                refused += 1
                about = {"table": place.table, "workspace_id": str(key[0]), "why": str(error)}
                log.warning("a secret does not open", extra=about)
    return done, refused


async def _one(db: Database, sealer: Sealer, place: Place, key: Key, context: str) -> bool:
    async with db.transaction() as tx:
        secret = await _lock(tx, place, key)
        if secret is None:
            return False
        await _replace(tx, place, key, sealer.seal(sealer.open(secret, context), context))
    return True
