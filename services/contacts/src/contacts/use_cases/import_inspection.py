"""Looking at a file before it is imported: how it is written, what its columns seem to hold, and its first rows as
they would be stored. Reads the beginning and changes nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any
from uuid import UUID

from common.db.pool import Connection
from common.ids import new_id

from contacts.db import attributes
from contacts.domain import import_headers
from contacts.domain.addresses import Addresses
from contacts.domain.import_files import open_file
from contacts.domain.import_options import ImportOptions
from contacts.domain.import_plan import FIELDS, TAGS, Plan, WrongMapping, make_plan
from contacts.domain.import_rows import RowReader, StagedRow
from contacts.domain.tables import Table, Unreadable
from contacts.domain.values import AttributeType, Definition
from contacts.use_cases.import_problems import unreadable, unusable

_ROWS_READ = 1000
_ROWS_SHOWN = 10
_SAMPLES = 3
_SAMPLE_CHARACTERS = 100


@dataclass(slots=True)
class Inspected:
    """What the file seems to be. `types`: of the attributes its columns fill, as far as was read."""

    table: Table
    system: str | None
    mapping: dict[str, str]
    types: dict[str, AttributeType]
    samples: dict[str, list[str]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    rows_read: int = 0
    rejected: int = 0
    warnings: list[dict[str, str]] = field(default_factory=list)


async def inspect_file(
    tx: Connection, workspace_id: UUID, file: IO[bytes], options: ImportOptions, *, pepper: bytes
) -> Inspected:
    """Look at the beginning of a file. Raises what import_problems tells of."""
    known = await attributes.definitions(tx, workspace_id)
    try:
        return await asyncio.to_thread(_inspect, file, options, known, Addresses(pepper, workspace_id))
    except Unreadable as error:
        raise unreadable(error) from error
    except WrongMapping as error:
        raise unusable(error) from error


def _inspect(
    file: IO[bytes], options: ImportOptions, known: Mapping[str, Definition], addresses: Addresses
) -> Inspected:
    table = open_file(file, (options.mapping or {}).keys(), options.encoding)
    rows = list(islice(table.rows, _ROWS_READ))
    mapping = options.mapping
    if mapping is None:
        mapping = import_headers.suggest(table.columns, (*FIELDS, TAGS), known, create_attributes=True)
    samples = {
        column: list(dict.fromkeys(one for row in rows if (one := _cell(row, n))))[:_SAMPLES]
        for n, column in enumerate(table.columns)
        if column
    }
    found = Inspected(table, import_headers.system(table.columns), dict(mapping), {}, samples)
    if "email" in mapping.values():
        plan = make_plan(table.columns, mapping, known, create_attributes=True)
        reader = RowReader(plan, new_id(), addresses, table.header_row)
        judged = list(reader.read(rows))
        found.types = {column.name: column.kind or "text" for column in plan.attributes}
        found.rows = [_shown(row, plan, table.columns) for row in judged[:_ROWS_SHOWN]]
        found.rows_read = reader.rows_read
        found.rejected = sum(row.code is not None for row in judged)
    found.warnings = _warnings(found, options, known)
    return found


def _cell(row: Sequence[str], index: int) -> str:
    return row[index].strip()[:_SAMPLE_CHARACTERS] if index < len(row) else ""


def _shown(row: StagedRow, plan: Plan, columns: Sequence[str]) -> dict[str, Any]:
    """A row as it would be stored, or with what is wrong with it."""
    if row.code is not None:
        given = dict(zip(columns, (cell[:_SAMPLE_CHARACTERS] for cell in row.cells), strict=False))
        return {"row": row.row, "code": row.code, "message": row.message, "given": given}
    assert row.address is not None  # noqa: S101
    values: dict[str, Any] = {name: row.cells[index] or None for name, index in plan.fields.items()}
    values["email"] = row.address.email
    if TAGS in values:
        values[TAGS] = values[TAGS].split(",") if values[TAGS] else []
    held = {column.name: _typed(row.cells[column.index], column.kind) for column in plan.attributes}
    values["attributes"] = {name: value for name, value in held.items() if value is not None}
    return {"row": row.row, "values": values}


def _typed(text: str, kind: AttributeType | None) -> str | float | bool | None:
    if not text:
        return None
    match kind:
        case "number":
            return float(text) if "." in text else int(text)
        case "boolean":
            return text.lower() == "true"
    return text


def _warnings(found: Inspected, options: ImportOptions, known: Mapping[str, Definition]) -> list[dict[str, str]]:
    warnings = []

    def warn(code: str, column: str, detail: str) -> None:
        warnings.append({"code": code, "column": column, "detail": detail})

    if "email" not in found.mapping.values():
        warn("no_email", "", "no column seems to hold addresses; map one to email")
    for column in import_headers.opted_out(found.table.columns):
        warn("opted_out", column, "the file says who left, and an import does not read it: send those rows apart, with"
             " consent status unsubscribed")  # fmt: skip
    for column, target in found.mapping.items():
        name = target.removeprefix("attributes.")
        if name != target and name not in known:
            if not options.create_attributes:
                warn(
                    "new_attribute", column, f"there is no attribute {name}: create it, or send create_attributes: true"
                )
            elif found.types.get(name) == "text" and not found.samples.get(column.strip()):
                warn("empty_column", column, f"the first {_ROWS_READ:,} rows have no value for {name}")
    for column in found.table.columns:
        if column and column not in found.mapping:
            warn("not_imported", column, "no field is known for this column")
        elif not column:
            warn("no_name", "", "a column without a name is not imported")
    wrong = {row["code"] for row in found.rows if "code" in row}
    if found.rejected:
        warn("rejected", "", f"{found.rejected} of the first {found.rows_read} rows would be rejected"
             + (f": {', '.join(sorted(wrong))}" if wrong else ""))  # fmt: skip
    return warnings
