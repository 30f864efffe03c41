"""Taking an upload: read, judge and stage every row, in one transaction; the merging is a job (import_job)."""

import asyncio
from itertools import islice
from typing import IO, Any
from uuid import UUID

from common.db.pool import Connection
from common.ids import new_id
from common.jobs import enqueue

from contacts.db import attributes, imports, lists, workspaces
from contacts.domain import phones
from contacts.domain.addresses import Addresses
from contacts.domain.import_files import open_file
from contacts.domain.import_options import ImportOptions
from contacts.domain.import_plan import Plan, WrongMapping, make_plan
from contacts.domain.import_rows import RowReader
from contacts.domain.tables import Table, Unreadable
from contacts.errors import ImportNotFound, ImportNotRunning, ListUnknown
from contacts.use_cases.import_problems import unreadable, unusable
from contacts.use_cases.lists import full
from contacts.use_cases.purposes import resolve_purpose

IMPORT_JOB = "import"
# A kind of its own: a process of a release that knows no dry run must not merge one for real.
TRIAL_JOB = "import_trial"
_BATCH_ROWS = 4000


async def accept_upload(
    tx: Connection,
    workspace_id: UUID,
    file: IO[bytes],
    filename: str,
    options: ImportOptions,
    *,
    pepper: bytes,
    actor: str,
    only_of: str | None = None,
) -> UUID:
    """Stage a file and enqueue its merging; durable with the transaction. Nothing stays of a file that is refused.

    `only_of`: a contributor, who may fill the own lists only. Raises what import_problems tells of, ListUnknown,
    ListFull and UnknownPurpose.
    """
    import_id = new_id()
    plan_extras: dict[str, Any] = {}
    if options.consent is not None:
        purpose = await resolve_purpose(tx, workspace_id, options.consent.purpose)
        plan_extras = {"purpose_id": str(purpose.id), "wording_version": purpose.version}
    missing = await lists.unknown(tx, workspace_id, options.list_ids, only_of)
    if missing:
        raise ListUnknown(list_id=str(missing[0]), mend="Create the list first, or leave it out of list_ids")
    known = await attributes.definitions(tx, workspace_id)
    try:
        opened, plan = await asyncio.to_thread(_open, file, options, known)
        region = phones.region_of(await workspaces.time_zone(tx, workspace_id))
        reader = RowReader(plan, import_id, Addresses(pepper, workspace_id), opened.header_row, region)
        ids = await _stage(tx, import_id, opened, reader)
    except Unreadable as error:
        raise unreadable(error) from error
    except WrongMapping as error:
        raise unusable(error) from error
    for list_id, limit in (await lists.limited(tx, workspace_id, options.list_ids)).items():
        room = limit - await lists.size(tx, workspace_id, list_id)
        if await lists.new_of_import(tx, workspace_id, list_id, import_id) > room:
            raise full(limit)
    if not options.dry_run:
        await _define_attributes(tx, workspace_id, plan)
    await imports.insert(
        tx,
        imports.NewImport(
            workspace_id,
            import_id,
            filename[:200],
            options.model_dump(mode="json"),
            {**_as_json(plan), **plan_extras},
            opened.columns,
            opened.format,
            opened.compressed,
            opened.encoding,
            opened.delimiter,
            reader.rows_read,
            options.dry_run,
            ids[0],
            ids[1],
            actor,
        ),
    )
    kind = TRIAL_JOB if options.dry_run else IMPORT_JOB
    await enqueue(tx, kind, {"import_id": str(import_id)}, workspace_id=workspace_id, unique_key=str(import_id))
    return import_id


async def cancel_import(tx: Connection, workspace_id: UUID, import_id: UUID) -> None:
    """Stop an import after the rows it is at; what was merged stays. Raises ImportNotFound, ImportNotRunning."""
    row = await imports.get(tx, workspace_id, import_id)
    if row is None:
        raise ImportNotFound(import_id=str(import_id))
    # The job sees it at its next range, and clears the stage.
    if not await imports.finish(tx, workspace_id, import_id, "cancelled"):
        raise ImportNotRunning(status=row["status"])


def _open(file: IO[bytes], options: ImportOptions, known: Any) -> tuple[Table, Plan]:
    opened = open_file(file, (options.mapping or {}).keys(), options.encoding)
    return opened, make_plan(
        opened.columns,
        options.mapping,
        known,
        create_attributes=options.create_attributes,
        policies=options.on_conflict if isinstance(options.on_conflict, dict) else None,
    )


async def _stage(
    tx: Connection, import_id: UUID, opened: Table, reader: RowReader
) -> tuple[UUID, UUID] | tuple[None, None]:
    """Copy batch after batch; the next one is read in a thread while the server takes the last.

    Returns the least and the greatest id that was drawn.
    """
    rows = reader.read(opened.rows)
    ids: set[str] = set()

    def take() -> bytes:
        batch = list(islice(rows, _BATCH_ROWS))
        drawn = [row.id for row in batch if row.code is None]
        if drawn:
            ids.update((min(drawn), max(drawn)))
        return imports.as_copied(import_id, batch)

    batch = await asyncio.to_thread(take)
    while batch:
        ahead = asyncio.create_task(asyncio.to_thread(take))
        try:
            await imports.stage(tx, batch)
        finally:
            # The thread reads the upload's file: it must be done with it, whatever happened here.
            batch = await ahead
    return (UUID(min(ids)), UUID(max(ids))) if ids else (None, None)


async def _define_attributes(tx: Connection, workspace_id: UUID, plan: Plan) -> None:
    new = [column for column in plan.attributes if not column.fixed]
    await attributes.ensure(
        tx,
        workspace_id,
        [column.name for column in new],
        [column.kind or "text" for column in new],
        [column.is_category for column in new],
    )


def _as_json(plan: Plan) -> dict[str, Any]:
    columns = [
        {"index": c.index, "name": c.name, "kind": c.kind or "text", "policy": c.policy} for c in plan.attributes
    ]
    return {"fields": plan.fields, "attributes": columns, "policies": plan.policies}
