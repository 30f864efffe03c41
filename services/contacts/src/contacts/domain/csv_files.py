"""Reading CSV files as people really export them: any of four delimiters, UTF-8 or UTF-16, quoted line breaks.

Streams: never more than a few lines are in memory.
"""

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO, Literal

Encoding = Literal["utf-8", "utf-16", "windows-1256", "windows-1252", "iso-8859-1", "iso-8859-6"]
DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 65_536
MAX_COLUMNS = 500
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel or ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a gzip file",
    b"{\\rtf": "a rich-text document",
}


class NotCsv(ValueError):
    """The bytes are not a CSV file; `row` says where that showed (the header is row 1)."""

    def __init__(self, message: str, row: int = 1) -> None:
        super().__init__(message)
        self.row = row


class Undecodable(NotCsv):
    """The bytes are not text in the encoding."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """An opened file: how it is written, its header, and its rows from here on."""

    encoding: str
    delimiter: str
    columns: list[str]
    rows: Iterator[list[str]]


def open_csv(file: IO[bytes], wanted: Collection[str] = (), encoding: str | None = None) -> CsvFile:
    """Find out how the file is written and read its header. `wanted`: columns that help to tell the delimiter.

    Raises NotCsv, Undecodable; so does reading the rows.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise NotCsv(f"the file is {what}, not CSV")
    if not head.strip():
        raise NotCsv("the file is empty")
    encoding = encoding or _encoding(head)
    delimiter = _delimiter(_decode_head(head, encoding), wanted)
    rows = _rows(io.TextIOWrapper(file, encoding=encoding, newline=""), encoding, delimiter)
    columns = [column.strip().lstrip("\ufeff") for column in next(rows, [])]
    if not any(columns):
        raise NotCsv("the first row has no column names")
    if len(columns) > MAX_COLUMNS:
        raise NotCsv(f"the first row has more than {MAX_COLUMNS} columns")
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise NotCsv(f"the first row names the column {twice[0]!r} twice")
    return CsvFile(encoding, delimiter, columns, rows)


def _encoding(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # UTF-16 without a mark: delimiters, line breaks and Latin letters have a zero byte, always on the same side.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if first + second > len(head) // 20 and min(first, second) * 10 < max(first, second):
        return "utf-16-be" if first > second else "utf-16-le"
    return "utf-8"


def _decode_head(head: bytes, encoding: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as error:
        row = head[: error.start].count(b"\n") + 1
        raise Undecodable(f"the file is not {encoding} text: byte {error.start} cannot be read", row) from error


def _delimiter(text: str, wanted: Collection[str]) -> str:
    def fitness(delimiter: str) -> tuple[int, int]:
        try:
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            return (0, 0)
        names = {column.strip() for column in header}
        return (sum(column in names for column in wanted), len(header))

    return max(DELIMITERS, key=fitness)


def _rows(text: io.TextIOWrapper, encoding: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    row = 0
    try:
        for cells in reader:
            row += 1
            yield cells
    except csv.Error as error:
        raise NotCsv(f"row {row + 1} cannot be read: {error}", row + 1) from error
    except UnicodeDecodeError as error:
        raise Undecodable(f"the file is not {encoding} text near row {row + 1}", row + 1) from error
    except _HasNul as error:
        raise NotCsv(f"row {row + 1} contains a NUL byte", row + 1) from error


class _HasNul(Exception):
    pass


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    for line in text:
        if "\x00" in line:
            raise _HasNul
        yield line
