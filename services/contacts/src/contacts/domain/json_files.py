"""Reading JSON Lines: one object a line, its nested objects as columns with dotted names.

Read twice, as any line may bring a new column: once for the names, once for the rows.
"""

import io
from collections.abc import Iterator
from typing import Any

import orjson

from contacts.domain.csv_files import Lines, LineTooLong
from contacts.domain.tables import MAX_COLUMNS, MAX_ROW_CHARACTERS, Undecodable, Unreadable

_MOST_DEEP = 20


class NotJsonLines(Unreadable):
    """A line is no JSON object. Rows are lines, from 1."""


def read_columns(text: io.TextIOWrapper, encoding: str) -> list[str]:
    """The names of all columns, in the order in which they appear. Raises NotJsonLines, Undecodable."""
    columns: dict[str, None] = {}
    for row, found in _objects(text, encoding):
        columns.update(dict.fromkeys(found))
        if len(columns) > MAX_COLUMNS:
            raise NotJsonLines(f"up to row {row} there are more than {MAX_COLUMNS} different names", row)
    return [*columns]


def read_rows(text: io.TextIOWrapper, encoding: str, columns: list[str]) -> Iterator[list[str]]:
    """The values of each line as texts: what is not there, or null, is empty."""
    last = 0
    for row, found in _objects(text, encoding):
        yield from ([] for _ in range(last + 1, row))  # empty lines count
        last = row
        try:
            yield [_text(found.get(column)) for column in columns]
        except orjson.JSONEncodeError as error:
            raise NotJsonLines(f"row {row} is nested too deep", row) from error


def _objects(file: io.TextIOWrapper, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = Lines(file)
    row = 0
    try:
        for line in lines:
            row += 1
            lines.characters = 0
            text = line.lstrip("\ufeff") if row == 1 else line
            if not text.isspace():
                yield row, _flat(text, row)
    except UnicodeDecodeError as error:
        raise Undecodable(f"the file is not {encoding} text near row {row + 1}", row + 1) from error
    except LineTooLong as error:
        raise NotJsonLines(f"row {row + 1} is longer than {MAX_ROW_CHARACTERS:,} characters", row + 1) from error


def _flat(line: str, row: int) -> dict[str, Any]:
    try:
        found: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NotJsonLines(f"row {row} is not JSON: {error}", row) from error
    if not isinstance(found, dict):
        raise NotJsonLines(f"row {row} is not an object", row)
    if any(isinstance(value, dict) for value in found.values()):
        found = _unnested(found, row)
    if "\\u0000" in line:
        for name, value in found.items():
            if "\x00" in name or "\x00" in _text(value):
                raise NotJsonLines(f"row {row}: {name!r} contains a NUL character", row, name)
    return dict(found)


def _unnested(found: dict[str, Any], row: int) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    waiting = [(name, value, 0) for name, value in reversed(found.items())]
    while waiting:
        name, value, depth = waiting.pop()
        if depth > _MOST_DEEP:
            raise NotJsonLines(f"row {row}: {name[:100]!r} is nested more than {_MOST_DEEP} deep", row, name[:100])
        if isinstance(value, dict):
            waiting += [(f"{name}.{inner}", one, depth + 1) for inner, one in reversed(value.items())]
        elif name in flat:
            raise NotJsonLines(f"row {row} has {name[:100]!r} twice", row, name[:100])
        else:
            flat[name] = value
    return flat


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() if all(isinstance(one, str) for one in value):
            return ",".join(value)
    return orjson.dumps(value).decode()
