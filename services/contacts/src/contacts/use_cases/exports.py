"""Contacts going out as a file, written while it is downloaded and kept nowhere: what was erased cannot be in one.

The database is asked page by page, and between pages nothing of it is held, however slow the reader is.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, cast
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database
from common.ids import new_id

from contacts.db import attributes, exports, lists, segments
from contacts.domain.exports.columns import Column, Row, UnknownColumn, columns
from contacts.domain.exports.text_files import write_csv, write_guarded_csv, write_json_lines
from contacts.domain.exports.xlsx import MOST_ROWS, write_xlsx
from contacts.domain.segment_binding import Bound
from contacts.errors import ExportNotFound, ListUnknown, SegmentUnknown, TooManyRows, UnknownExportColumn
from contacts.use_cases.purposes import list_purposes
from contacts.use_cases.segment_rules import usable

PAGE = 2_000
IDS_AT_ONCE = 200_000
STATEMENT_S = 60.0
READER_S = 60.0  # so long a chunk waits for its reader
_CHUNK = 64 * 1024
_CHUNKS_AHEAD = 4


def write_parquet(columns: Sequence[Column], pages: Iterable[Sequence[Row]], file: IO[bytes]) -> None:
    """As `contacts.domain.exports.parquet`, whose library is large, and which the command line's image leaves out."""
    from contacts.domain.exports import parquet

    parquet.write_parquet(columns, pages, file)


Writer = Callable[[Sequence[Column], Iterable[Sequence[Row]], IO[bytes]], None]
WRITERS: Mapping[tuple[str, str], Writer] = {
    ("csv", "raw"): write_csv,
    ("csv", "spreadsheet"): write_guarded_csv,
    ("jsonl", "raw"): write_json_lines,
    ("parquet", "raw"): write_parquet,
    ("xlsx", "raw"): write_xlsx,
    ("xlsx", "spreadsheet"): write_xlsx,
}


@dataclass(frozen=True, slots=True)
class NewExport:
    """What to take out: the contacts of a segment, of a list, of a rule, or all; all columns, or some."""

    format: str
    mode: str
    name: str = ""
    segment_id: UUID | None = None
    list_id: UUID | None = None
    rule: Any = None
    columns: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An export that can be written."""

    rule: Bound
    columns: Sequence[Column]
    write: Writer
    most_rows: int | None


async def create_export(tx: Connection, workspace_id: UUID, wanted: NewExport, actor: str) -> asyncpg.Record:
    """Store what is wanted. A segment's rule is kept as it is now.

    Raises SegmentUnknown, ListUnknown, InvalidRule, UnknownExportColumn.
    """
    rule = wanted.rule if wanted.rule is not None else {"all": []}
    if wanted.segment_id is not None:
        segment = await segments.find(tx, workspace_id, wanted.segment_id)
        if segment is None:
            raise SegmentUnknown
        rule = segment["rule"]
    if wanted.list_id is not None:
        if await lists.unknown(tx, workspace_id, [wanted.list_id]):
            raise ListUnknown
        rule = {"list": str(wanted.list_id)}
    await usable(tx, workspace_id, rule)
    await _columns(tx, workspace_id, wanted.columns)
    return await exports.insert(
        tx, workspace_id, new_id(), wanted.name, rule, wanted.format, wanted.mode, wanted.columns, actor
    )


async def plan_export(
    tx: Connection, workspace_id: UUID, export_id: UUID, now: datetime
) -> tuple[asyncpg.Record, Plan]:
    """What a download writes. Raises ExportNotFound, InvalidRule, UnknownExportColumn, TooManyRows."""
    row = await exports.get(tx, workspace_id, export_id)
    if row is None:
        raise ExportNotFound(export_id=str(export_id))
    rule = await usable(tx, workspace_id, row["rule"])
    most = MOST_ROWS - 1 if row["format"] == "xlsx" else None
    if most is not None:
        await segments.limit_time(tx, STATEMENT_S)
        if (count := await segments.count(tx, workspace_id, rule, now)) > most:
            raise TooManyRows(
                f"A sheet has room for {most:,} contacts; these are {count:,}", mend="Use csv, jsonl or parquet"
            )
    found = await _columns(tx, workspace_id, row["columns"])
    return row, Plan(rule, found, WRITERS[row["format"], row["mode"]], most)


async def _columns(tx: Connection, workspace_id: UUID, wanted: Sequence[str] | None) -> list[Column]:
    purposes = {purpose.key: str(purpose.id) for purpose in await list_purposes(tx, workspace_id)}
    try:
        return columns(await attributes.types(tx, workspace_id), purposes, wanted)
    except UnknownColumn as error:
        raise UnknownExportColumn(
            f"There is no column {error.name!r}", column=error.name, mend=f"Use some of: {', '.join(error.known)}"
        ) from error


async def stream_export(
    db: Database, workspace_id: UUID, export_id: UUID, plan: Plan, now: datetime, actor: str
) -> AsyncIterator[bytes]:
    """The file, piece by piece; who took how many is noted when it is whole."""
    loop = asyncio.get_running_loop()
    source = _Source(db, workspace_id, plan, now)
    out = _Out(loop)

    def pages() -> Iterator[Sequence[Row]]:
        while page := out.wait_for(source.page()):
            yield page

    def write() -> None:
        try:
            plan.write(plan.columns, pages(), cast("IO[bytes]", out))
            out.flush()
        finally:
            out.end()

    writing = asyncio.create_task(asyncio.to_thread(write))
    try:
        while (chunk := await out.chunks.get()) is not None:
            yield chunk
        await writing
        async with db.transaction(workspace_id) as tx:
            await exports.downloaded(tx, workspace_id, export_id, source.taken, actor)
    finally:
        # The reader may be gone: the thread ends at its next page or chunk.
        out.gone = True
        while not writing.done():
            with suppress(asyncio.QueueEmpty):
                out.chunks.get_nowait()
            await asyncio.wait({writing}, timeout=0.05)
        if not writing.cancelled():
            writing.exception()


class _Source:
    """Pages of contacts. Who belongs to them is asked for in large pieces, what they are page by page."""

    def __init__(self, db: Database, workspace_id: UUID, plan: Plan, now: datetime) -> None:
        self._db, self._workspace_id, self._plan, self._now = db, workspace_id, plan, now
        self._ids: list[bytes] = []
        self._last: UUID | None = None
        self._more = True
        self.taken = 0

    async def page(self) -> Sequence[Row]:
        """The next contacts; none at the end."""
        while True:
            if not self._ids and not await self._ask():
                return ()
            some, self._ids = self._ids[:PAGE], self._ids[PAGE:]
            async with self._db.transaction(self._workspace_id, readonly=True) as tx:
                rows = await exports.rows(tx, self._workspace_id, some)
            if rows:
                self.taken += len(rows)
                return [cast("Row", row) for row in rows]

    async def _ask(self) -> bool:
        limit = IDS_AT_ONCE
        if self._plan.most_rows is not None:
            limit = min(limit, self._plan.most_rows - self.taken)
        if not self._more or limit <= 0:
            return False
        async with self._db.transaction(self._workspace_id, readonly=True) as tx:
            await segments.limit_time(tx, STATEMENT_S)
            self._ids = await exports.ids(tx, self._workspace_id, self._plan.rule, self._now, self._last, limit)
        self._more = len(self._ids) == limit
        if self._ids:
            self._last = UUID(bytes=self._ids[-1])
        return bool(self._ids)


class _Gone(Exception):
    """Nobody reads the file any more."""


class _Out:
    """A file that a thread writes and the event loop reads; it cannot be sought in."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS_AHEAD)
        self.gone = False
        self._loop = loop
        self._buffer = bytearray()

    def wait_for(self, work: Any) -> Any:
        """In the thread: the result of a coroutine. Raises _Gone."""
        if self.gone:
            work.close()
            raise _Gone
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except CancelledError:
            raise _Gone from None

    def write(self, data: Any) -> int:
        """In the thread: hand bytes over, in chunks."""
        self._buffer += data
        if len(self._buffer) >= _CHUNK:
            self._hand_over()
        return len(data)

    def flush(self) -> None:
        """In the thread: hand over what there is of a chunk; only the end asks for it."""

    def end(self) -> None:
        """In the thread: no more comes."""
        with suppress(_Gone):
            if self._buffer:
                self._hand_over()
            self.wait_for(self._put(None))

    def _hand_over(self) -> None:
        chunk, self._buffer = bytes(self._buffer), bytearray()
        self.wait_for(self._put(chunk))

    async def _put(self, chunk: bytes | None) -> None:
        async with asyncio.timeout(READER_S):
            await self.chunks.put(chunk)

    def seek(self, *_: Any) -> int:
        """Not possible."""
        raise OSError("a stream cannot be sought in")

    tell = read = seek
