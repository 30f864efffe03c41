"""CSV and JSON Lines."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import IO, Any

import orjson

from contacts.domain.exports.columns import ATTRIBUTE, CONSENT, LISTS, TAGS, Column, Row, written
from contacts.domain.exports.spreadsheets import GUARDED_ID, guarded


def write_csv(columns: Sequence[Column], pages: Iterable[Sequence[Row]], file: IO[bytes]) -> None:
    """RFC 4180, UTF-8: what the importer reads back as it was."""
    _write(columns, pages, file, [[column.name for column in columns]], guard=False)


def write_guarded_csv(columns: Sequence[Column], pages: Iterable[Sequence[Row]], file: IO[bytes]) -> None:
    """For spreadsheet programs: with a byte-order mark, by which they know UTF-8, and no cell that they would run."""
    file.write(b"\xef\xbb\xbf")
    header = [GUARDED_ID if column.name == "id" else column.name for column in columns]
    _write(columns, pages, file, [header], guard=True)


def _write(
    columns: Sequence[Column], pages: Iterable[Sequence[Row]], file: IO[bytes], header: list[list[str]], *, guard: bool
) -> None:
    file.write(_lines(header))
    readers = [(column.read, guard and column.kind == "text") for column in columns]
    for page in pages:
        rows = [
            [guarded(text) if risky else text for text, risky in ((written(read(row)), r) for read, r in readers)]
            for row in page
        ]
        file.write(_lines(rows))


def _lines(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def write_json_lines(columns: Sequence[Column], pages: Iterable[Sequence[Row]], file: IO[bytes]) -> None:
    """One object a line; attributes and consents as objects, tags and lists as lists; what is empty is left out."""
    for page in pages:
        file.write(b"".join(orjson.dumps(_document(columns, row)) + b"\n" for row in page))


def _document(columns: Sequence[Column], row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in columns:
        value = column.read(row)
        if value is None:
            continue
        for prefix, group in ((ATTRIBUTE, "attributes"), (CONSENT, "consents")):
            if column.name.startswith(prefix):
                found.setdefault(group, {})[column.name.removeprefix(prefix)] = value
                break
        else:
            found[column.name] = list(row[column.name]) if column.name in (TAGS, LISTS) else value
    return found
