"""Opening a file of people: what it is, is told from its bytes, never from its name."""

import codecs
import io
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import IO, Literal

from contacts.domain import encodings
from contacts.domain.csv_files import NotCsv, read_csv
from contacts.domain.exports.spreadsheets import GUARDED_ID, unguarded
from contacts.domain.inflating import Damaged, gunzip
from contacts.domain.json_files import NotJsonLines, read_columns, read_rows
from contacts.domain.tables import Table, Undecodable, header
from contacts.domain.xlsx_files import read_xlsx

Encoding = Literal["utf-8", "utf-16", "windows-1256", "windows-1252", "iso-8859-1", "iso-8859-6"]
# Before the columns of the file, in the list of what could not be imported of it.
REJECT_COLUMNS = ("row", "code", "message")
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an old Excel file or one with a password",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"{\\rtf": "a rich-text document",
    b"PAR1": "a Parquet file",
    b"PK\x05\x06": "an empty ZIP archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an XZ file",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
}


def open_file(file: IO[bytes], wanted: Collection[str] = (), encoding: str | None = None) -> Table:
    """Find out how the file is written and read its header. `wanted`: columns that help to tell a CSV's delimiter.

    What Barid itself added goes again: the reasons before the rows of a file of rejects, and the apostrophes of an
    export for spreadsheets. Raises Unreadable; so does reading the rows.
    """
    file.seek(0)
    magic = file.read(8)
    file.seek(0)
    if magic.startswith(_ZIP):
        row, cells, rows = read_xlsx(file)
        return _as_sent(Table("xlsx", False, "utf-8", "", cells, rows, row), wanted)
    if not magic.startswith(_GZIP):
        return _as_sent(_open_text(_Plain(file), wanted, encoding), wanted)
    try:
        opened = _as_sent(_open_text(_Gzip(file), wanted, encoding), wanted)
    except Damaged as error:
        raise NotCsv(f"the gzip file is damaged: {error}") from error
    return replace(opened, compressed=True, rows=_undamaged(opened.rows, opened.header_row))


def _as_sent(table: Table, wanted: Collection[str]) -> Table:
    columns = [column.strip().lstrip("\ufeff") for column in table.columns]
    rows, rest = table.rows, columns[len(REJECT_COLUMNS) :]
    if (*columns[: len(REJECT_COLUMNS)],) == REJECT_COLUMNS and rest and {*REJECT_COLUMNS} & {*wanted} <= {*rest}:
        columns, rows = rest, (cells[len(REJECT_COLUMNS) :] for cells in rows)
    if columns and columns[0] == GUARDED_ID:
        columns, rows = [*map(unguarded, columns)], ([*map(unguarded, cells)] for cells in rows)
    return replace(table, columns=header(columns, table.header_row), rows=rows)


class _Plain:
    """A file that is read from its beginning, as often as it takes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def again(self) -> IO[bytes]:
        self.file.seek(0)
        return self.file


class _Gzip(_Plain):
    def again(self) -> IO[bytes]:
        return gunzip(self.file)


def _open_text(source: _Plain, wanted: Collection[str], encoding: str | None) -> Table:
    begin = source.again().read(encodings.HEAD_BYTES)
    for magic, what in {**_OTHER_FORMATS, _ZIP: "a ZIP archive", _GZIP: "a gzip file"}.items():
        if begin.startswith(magic):
            raise NotCsv(f"the file is {what}, not a table of people")
    if not begin.strip():
        raise NotCsv("the file is empty")
    encoding = encoding or encodings.detect(source.again())
    head = _decode_head(begin, encoding)
    text = io.TextIOWrapper(source.again(), encoding=encoding, newline="")
    beginning = head.lstrip("\ufeff \t\r\n")
    if beginning.startswith("{"):
        columns = read_columns(text, encoding)
        text.detach()
        text = io.TextIOWrapper(source.again(), encoding=encoding, newline="")
        return Table("jsonl", False, encoding, "", columns, read_rows(text, encoding, columns), 0)
    if beginning.startswith("[") and beginning[1:].lstrip().startswith("{"):
        raise NotJsonLines("the file is one JSON document; write one object a line (JSON Lines)")
    delimiter, columns, rows = read_csv(text, head, encoding, wanted)
    return Table("csv", False, encoding, delimiter, columns, rows)


def _undamaged(rows: Iterator[list[str]], row: int) -> Iterator[list[str]]:
    try:
        for cells in rows:
            row += 1
            yield cells
    except Damaged as error:
        raise NotCsv(f"the gzip file is damaged after row {row}: {error}", row + 1) from error


def _decode_head(head: bytes, encoding: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as error:
        row = head[: error.start].count(b"\n") + 1
        raise Undecodable(f"the file is not {encoding} text: byte {error.start} cannot be read", row) from error
