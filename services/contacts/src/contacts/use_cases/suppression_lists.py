"""Whole suppression lists in and out."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO
from uuid import UUID

from common.db.pool import Connection, Database
from common.ids import new_id
from common.outbox.writer import IMPORT_LANE

from contacts import events
from contacts.db import segments, suppression_lists
from contacts.domain.addresses import Addresses
from contacts.domain.suppression_files import Entry, ListKind, TooLong, WrongEntry, read_entries
from contacts.domain.tables import Unreadable
from contacts.errors import TooManyRows
from contacts.use_cases.import_problems import unreadable

MOST_NAMED = 100
PAGE = 50_000
STATEMENT_S = 60.0
_SCOPES = {"address": "address", "domain": "domain", "keyed": "address", "keyed_domain": "domain"}


@dataclass(slots=True)
class Taken:
    """What became of a list: rows read, hashes that were not suppressed before, and rows that cannot be taken."""

    read: int = 0
    added: int = 0
    rejected: int = 0
    rejects: list[WrongEntry] = field(default_factory=list)


async def take_list(
    tx: Connection,
    workspace_id: UUID,
    file: IO[bytes],
    kind: ListKind,
    reason: str,
    expires_at: datetime | None,
    addresses: Addresses,
    actor: str,
) -> Taken:
    """Suppress all that a file names, in one transaction. What is suppressed for longer is never shortened.

    Raises what import_problems tells of files, and TooManyRows.
    """
    try:
        taken, hashes = await asyncio.to_thread(_read, file, kind, addresses)
    except Unreadable as error:
        raise unreadable(error) from error
    except TooLong as error:
        raise TooManyRows(str(error), mend="Split the file") from error
    if kind in ("sha256", "md5"):
        await segments.limit_time(tx, STATEMENT_S)
        taken.added = await suppression_lists.put_digests(tx, workspace_id, kind, hashes, reason, actor, expires_at)
        return taken
    ids = [new_id() for _ in hashes]
    rows = await suppression_lists.put(tx, workspace_id, _SCOPES[kind], ids, hashes, reason, actor, expires_at)
    told = [events.suppression_changed(row) for row in rows]
    await events.publish(tx, told if len(told) <= MOST_NAMED else events.in_lane(told, IMPORT_LANE))
    taken.added = len(rows)
    return taken


def _read(file: IO[bytes], kind: ListKind, addresses: Addresses) -> tuple[Taken, list[bytes]]:
    taken, hashes = Taken(), set()
    for entry in read_entries(file, kind, addresses):
        taken.read += 1
        if isinstance(entry, Entry):
            hashes.add(entry.hash)
            continue
        taken.rejected += 1
        if len(taken.rejects) < MOST_NAMED:
            taken.rejects.append(entry)
    return taken, sorted(hashes)


async def stream_list(db: Database, workspace_id: UUID, scope: str, form: str) -> AsyncIterator[bytes]:
    """CSV of the active suppressions: value, reason, created_at, expires_at. Without a value they are left out."""
    yield _csv([["value", "reason", "created_at", "expires_at"]])
    after: UUID | None = None
    while True:
        async with db.transaction(workspace_id, readonly=True) as tx:
            await segments.limit_time(tx, STATEMENT_S)
            rows = await suppression_lists.page(tx, workspace_id, scope, form, after, PAGE)
        if not rows:
            return
        yield _csv([
            [row["value"], row["reason"], _time(row["created_at"]), _time(row["expires_at"])]
            for row in rows
            if row["value"] is not None
        ])  # fmt: skip
        after = rows[-1]["id"]


def _time(value: datetime | None) -> str:
    return "" if value is None else value.isoformat()


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
