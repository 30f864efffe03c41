"""Every place of delivery's database that holds something sealed."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from common.db.pool import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """A table with a sealed column; `key`: the rest of its primary key."""

    table: str
    column: str
    key: tuple[str, ...]


DKIM_KEYS = Place("dkim_keys", "private_key", ("domain_id", "selector"))
ROUTES = Place("routes", "password", ("id",))
ENDPOINTS = Place("provider_endpoints", "secret", ("id",))

Key = tuple[UUID, *tuple[UUID | str, ...]]


async def not_begun_by(tx: Connection, place: Place, header: bytes) -> list[Key]:
    """Primary keys of rows whose secret another key than the current one sealed."""
    rows = await tx.fetch(
        f"select workspace_id, {', '.join(place.key)} from {place.table}"  # noqa: S608
        f" where {place.column} is not null and substring({place.column} from 1 for $2) <> $1 order by 1, 2",
        header,
        len(header),
    )
    return [tuple(row) for row in rows]


async def lock(tx: Connection, place: Place, key: Sequence[UUID | str]) -> bytes | None:
    """The sealed value of a row, which is locked; None where there is none any more."""
    found: bytes | None = await tx.fetchval(
        f"select {place.column} from {place.table} where {_where(place)} for update",  # noqa: S608
        *key,
    )
    return found


async def replace(tx: Connection, place: Place, key: Sequence[UUID | str], sealed: bytes) -> None:
    """The same secret, sealed by another key."""
    await tx.execute(
        f"update {place.table} set {place.column} = ${len(key) + 1} where {_where(place)}",  # noqa: S608
        *key,
        sealed,
    )


def _where(place: Place) -> str:
    return " and ".join(f"{column} = ${n}" for n, column in enumerate(("workspace_id", *place.key), 1))
