"""Reading CSV files as people really export them: any of four delimiters, quoted line breaks.

Streams: never more than a row is in memory, and no row is longer than a mebibyte.
"""

import csv
import io
from collections.abc import Collection, Iterator

from contacts.domain.tables import MAX_ROW_CHARACTERS, Undecodable, Unreadable

DELIMITERS = (",", ";", "\t", "|")


class NotCsv(Unreadable):
    """The text is not a CSV file."""


def read_csv(
    text: io.TextIOWrapper, head: str, encoding: str, wanted: Collection[str] = ()
) -> tuple[str, list[str], Iterator[list[str]]]:
    """The delimiter, the first row and the others. `head`: the text's beginning;
    `wanted`: columns that tell the delimiter.

    Raises NotCsv, Undecodable; so does reading the rows.
    """
    delimiter = _delimiter(head, wanted)
    rows = _rows(text, encoding, delimiter)
    return delimiter, next(rows, []), rows


def _delimiter(text: str, wanted: Collection[str]) -> str:
    def fitness(delimiter: str) -> tuple[int, int]:
        try:
            first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            return (0, 0)
        names = {column.strip() for column in first}
        return (sum(column in names for column in wanted), len(first))

    return max(DELIMITERS, key=fitness)


def _rows(text: io.TextIOWrapper, encoding: str, delimiter: str) -> Iterator[list[str]]:
    lines = Lines(text)
    row = 0
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            row += 1
            lines.characters = 0
            if lines.has_nul:
                column = next((n for n, cell in enumerate(cells, 1) if "\x00" in cell), 1)
                raise NotCsv(f"row {row}, column {column} contains a NUL byte", row, str(column))
            yield cells
    except csv.Error as error:
        raise NotCsv(f"row {row + 1} cannot be read: {error}", row + 1) from error
    except UnicodeDecodeError as error:
        raise Undecodable(f"the file is not {encoding} text near row {row + 1}", row + 1) from error
    except LineTooLong as error:
        raise NotCsv(f"row {row + 1} is longer than {MAX_ROW_CHARACTERS:,} characters", row + 1) from error


class LineTooLong(Exception):
    """No file of people has such a line."""


class Lines:
    """The lines of a text, no more of them at a time than a row may have characters.

    Who reads a row sets `characters` back to 0.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.characters = 0
        self.has_nul = False
        self._readline = text.readline

    def __iter__(self) -> Iterator[str]:
        while line := self._readline(MAX_ROW_CHARACTERS + 1):
            self.characters += len(line)
            if self.characters > MAX_ROW_CHARACTERS:
                raise LineTooLong
            if "\x00" in line:
                self.has_nul = True
            yield line
