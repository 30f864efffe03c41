"""`/v1/imports/inspect`: a file before it is imported, without any effect."""

from typing import Annotated, Any, Literal

from common.web.problems import problems
from common.web.route import Caller, Db, allow, own_transaction, service_router
from fastapi import Form, UploadFile
from pydantic import BaseModel, Field

from contacts.api.deps import Pepper
from contacts.api.import_options import read_options
from contacts.errors import InvalidMapping, MissingColumn, TooManyTags
from contacts.use_cases.import_inspection import Inspected, inspect_file
from contacts.use_cases.import_problems import FILE_PROBLEMS

router = service_router("/imports", "imports")
MAX_BYTES = 2 * 1024**3


class InspectedColumn(BaseModel):
    """A column, what it seems to hold, and some of it."""

    name: str
    target: str | None = Field(description="a field, tags or attributes.<name>; null: not imported")
    type: Literal["text", "number", "boolean", "date"] | None = Field(description="of an attribute, as far as was read")
    samples: list[str]


class InspectedRow(BaseModel):
    """A row as it would be stored (`values`), or what is wrong with it and what was given."""

    row: int
    values: dict[str, Any] | None = None
    code: str | None = None
    message: str | None = None
    given: dict[str, str] | None = None


class InspectionWarning(BaseModel):
    """Something to look at before importing."""

    code: str
    column: str
    detail: str


class Inspection(BaseModel):
    """How a file is written, and what importing it would do with its first rows."""

    format: Literal["csv", "xlsx", "jsonl"]
    compressed: bool
    encoding: str
    delimiter: str
    system: str | None = Field(description="whose export it seems to be: hubspot, salesforce, zoho, mailchimp, …")
    columns: list[InspectedColumn]
    mapping: dict[str, str] = Field(description="to send as `mapping` with the import")
    rows: list[InspectedRow]
    rows_read: int
    rejected: int
    warnings: list[InspectionWarning]


@router.post(
    "/inspect",
    max_body_size=MAX_BYTES,
    dependencies=[allow("imports:write")],
    responses=problems(*FILE_PROBLEMS, MissingColumn, InvalidMapping, TooManyTags),
)
@own_transaction
async def inspect_import(
    file: UploadFile,
    db: Db,
    caller: Caller,
    pepper: Pepper,
    options: Annotated[str, Form(description="JSON: see ImportOptions")] = "{}",
) -> Inspection:
    """Tell what a file is, suggest a mapping for it, and show its first rows as they would be stored. No effect."""
    wanted = read_options(options)
    async with db.transaction(caller.workspace_id, readonly=True) as tx:
        return _out(await inspect_file(tx, caller.workspace_id, file.file, wanted, pepper=pepper))


def _out(found: Inspected) -> Inspection:
    columns = []
    for name in filter(None, found.table.columns):
        target = found.mapping.get(name)
        kind = found.types.get((target or "").removeprefix("attributes.")) if target else None
        columns.append(InspectedColumn(name=name, target=target, type=kind, samples=found.samples[name]))
    return Inspection(
        format=found.table.format,
        compressed=found.table.compressed,
        encoding=found.table.encoding,
        delimiter=found.table.delimiter,
        system=found.system,
        columns=columns,
        mapping=found.mapping,
        rows=[InspectedRow(**row) for row in found.rows],
        rows_read=found.rows_read,
        rejected=found.rejected,
        warnings=[InspectionWarning(**one) for one in found.warnings],
    )
