"""Imports: their stage, their progress and their rejects."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db.merge import Merged
from contacts.domain.import_rows import StagedRow

_STAGED = (
    "import_id", "row", "contact_id", "email", "email_normalised", "address_hash", "domain_hash", "code", "message",
    "cells",
)  # fmt: skip
_ROW, _CELL = "\x1e", "\x1f"

_INSERT = """
insert into imports (workspace_id, id, filename, options, plan, columns, format, compressed, encoding, delimiter,
                     rows_read, dry_run, first_id, last_id, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""

_COUNT = """
update imports set created = created + $3, updated = updated + $4, unchanged = unchanged + $5,
                   skipped = skipped + $6, rejected = rejected + $7
 where workspace_id = $1 and id = $2 and status = 'running'
returning 1
"""

_FINISH = """
update imports set status = $3, error = $4, finished_at = now()
 where workspace_id = $1 and id = $2 and status in ('queued', 'running')
returning 1
"""


async def stage(tx: Connection, copied: bytes) -> None:
    """Copy rows into the stage."""
    await tx.copy_to_table("import_stage", source=BytesIO(copied), columns=_STAGED)


def as_copied(import_id: UUID, rows: Sequence[StagedRow]) -> bytes:
    """Rows in COPY's text format. asyncpg's own encoding of their arrays takes longer than all else."""
    lines = []
    for (row, id_, address, hash_, code, message, _), cells in zip(rows, _arrays([r.cells for r in rows]), strict=True):
        # Addresses need no escaping: an unquoted local part has no backslash, and none of it breaks a line.
        who = f"{address.email}\t{address.normalised}" if address else "\\N\t\\N"
        domain = f"\\\\x{address.domain_hash.hex()}" if address else "\\N"
        of = f"\\\\x{hash_.hex()}" if hash_ else "\\N"
        why = "\\N\t\\N" if message is None else f"{code}\t{_escaped(message)}"
        lines.append(f"{import_id.hex}\t{row}\t{id_}\t{who}\t{of}\t{domain}\t{why}\t{cells}\n")
    return "".join(lines).encode()


def _arrays(rows: list[Sequence[str]]) -> list[str]:
    """Rows of cells as array literals, escaped all at once, unless they contain what separates them meanwhile."""
    text = _ROW.join([_CELL.join(row) for row in rows])
    if text.count(_ROW) != len(rows) - 1 or text.count(_CELL) != sum(map(len, rows)) - len(rows):
        return ['{"' + '","'.join(map(_quoted, row)) + '"}' for row in rows]
    return ['{"' + row + '"}' for row in _quoted(text).replace(_CELL, '","').split(_ROW)]


def _quoted(text: str) -> str:
    """As an element of an array literal, which COPY takes apart before the array does."""
    return _escaped(text.replace("\\", "\\\\").replace('"', '\\"'))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


@dataclass(frozen=True, slots=True)
class NewImport:
    """An import whose rows are staged. Its contacts will have ids from `first_id` to `last_id`."""

    workspace_id: UUID
    id: UUID
    filename: str
    options: dict[str, Any]
    plan: dict[str, Any]
    columns: list[str]
    format: str
    compressed: bool
    encoding: str
    delimiter: str
    rows_read: int
    dry_run: bool
    first_id: UUID | None
    last_id: UUID | None
    created_by: str


async def insert(tx: Connection, new: NewImport) -> None:
    """A new import, its rows staged already."""
    await tx.execute(_INSERT, *(getattr(new, field.name) for field in fields(new)))


async def get(tx: Connection, workspace_id: UUID, import_id: UUID) -> asyncpg.Record | None:
    """One import."""
    return await tx.fetchrow("select * from imports where workspace_id = $1 and id = $2", workspace_id, import_id)


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """The workspace's imports, the newest first."""
    return await tx.fetch(
        "select * from imports where workspace_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def start(tx: Connection, workspace_id: UUID, import_id: UUID) -> None:
    """Say that the import runs."""
    await tx.execute(
        "update imports set status = 'running', started_at = coalesce(started_at, now())"
        " where workspace_id = $1 and id = $2 and status = 'queued'",
        workspace_id,
        import_id,
    )


async def count(tx: Connection, workspace_id: UUID, import_id: UUID, merged: Merged) -> bool:
    """Add what became of a range of rows; False if the import runs no more."""
    counted = await tx.fetchval(
        _COUNT,
        workspace_id,
        import_id,
        merged.created,
        merged.updated,
        merged.unchanged,
        merged.skipped,
        merged.rejected,
    )
    return counted is not None


async def finish(tx: Connection, workspace_id: UUID, import_id: UUID, status: str, error: str | None = None) -> bool:
    """Say how the import ended; the first word stands, False if this was not it."""
    done = await tx.fetchval(_FINISH, workspace_id, import_id, status, error)
    return done is not None


async def last_row(tx: Connection, import_id: UUID) -> int:
    """The highest staged row; 0 when there is none."""
    last: int | None = await tx.fetchval("select max(row) from import_stage where import_id = $1", import_id)
    return last or 0


async def clear_stage(tx: Connection, import_id: UUID, to: int) -> None:
    """Remove staged rows up to `to`."""
    await tx.execute("delete from import_stage where import_id = $1 and row <= $2", import_id, to)


async def rejects(tx: Connection, workspace_id: UUID, import_id: UUID, after: int, limit: int) -> list[asyncpg.Record]:
    """Rejected rows, in the file's order."""
    return await tx.fetch(
        "select row, code, message, cells from import_rejects"
        " where workspace_id = $1 and import_id = $2 and row > $3 order by row limit $4",
        workspace_id,
        import_id,
        after,
        limit,
    )
