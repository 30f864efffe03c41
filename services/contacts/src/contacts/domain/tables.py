"""What every reader of files gives: a header and rows of texts; and how it says what is wrong with a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Format = Literal["csv", "xlsx", "jsonl"]
MAX_COLUMNS = 500
MAX_CELL_CHARACTERS = 131_072
MAX_ROW_CHARACTERS = 1_048_576


class Unreadable(ValueError):
    """The bytes are no table. `row` and `column` say where that showed (the header of a CSV file is row 1)."""

    def __init__(self, message: str, row: int = 1, column: str | None = None) -> None:
        super().__init__(message)
        self.row = row
        self.column = column


class Undecodable(Unreadable):
    """The bytes are not text in the encoding."""


class BadHeader(Unreadable):
    """The first row does not name the columns, each by a name of its own."""


class Inflated(Unreadable):
    """More would come out of the compressed file than anybody exports."""


@dataclass(frozen=True, slots=True)
class Table:
    """An opened file: how it is written, its header, and its rows from there on. Reading them raises Unreadable."""

    format: Format
    compressed: bool
    encoding: str
    delimiter: str
    columns: list[str]
    rows: Iterator[list[str]]
    header_row: int = 1


def header(columns: list[str], row: int = 1) -> list[str]:
    """The columns, as they are. Raises BadHeader when there are none, too many, or two of one name."""
    if not any(columns):
        raise BadHeader("the first row has no column names", row)
    if len(columns) > MAX_COLUMNS:
        raise BadHeader(f"the first row has {len(columns)} columns, more than {MAX_COLUMNS}", row)
    seen: set[str] = set()
    for column in filter(None, columns):
        if column in seen:
            raise BadHeader(f"the first row names the column {column[:100]!r} twice", row, column)
        seen.add(column)
    return columns
