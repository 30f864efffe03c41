"""A person's data, from every service, as one file."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.leads import LeadExportedV1, LeadExportRequestedV1
from common.db.pool import Connection, Database
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.personal_data import parts

from contacts import events
from contacts.db import contacts, merges, personal, privacy
from contacts.domain.exports.spreadsheets import guarded
from contacts.errors import ContactNotFound, PrivacyRequestNotFound, StillCollecting
from contacts.use_cases.erasure import SERVICES

KEPT = timedelta(days=30)


async def request_export(tx: Connection, workspace_id: UUID, contact_id: UUID, requested_by: str) -> asyncpg.Record:
    """Tell what is kept here, and ask the others. Raises ContactNotFound."""
    if await contacts.get_locked(tx, workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    request_id = new_id()
    row = await privacy.insert(tx, workspace_id, request_id, "export", contact_id, requested_by)
    assert row is not None  # noqa: S101
    aliases = await merges.aliases(tx, workspace_id, contact_id)
    people = [contact_id, *(one["alias_id"] for one in aliases)]
    found = await contacts.hashes(tx, [workspace_id], [contact_id])
    hashes = [*found.values(), *(one["address_hash"] for one in aliases)]
    own = [part async for part in parts(tx, personal.STATEMENTS, workspace_id, people, hashes)]
    await keep_parts(
        tx,
        [
            (workspace_id, request_id, "contacts", n, n == len(own), contact_id, tables)
            for n, tables in enumerate(own, 1)
        ],
    )
    asked = LeadExportRequestedV1(
        contact_id=contact_id,
        request_id=request_id,
        address_hashes=[one.hex() for one in hashes],
        merged_ids=people[1:],
    )
    await events.publish(tx, [Outgoing(workspace_id, asked)])
    return row


async def keep_parts(tx: Connection, told: Sequence[personal.Part]) -> None:
    """Parts of what services keep; a request is complete when all have told all."""
    whole = await personal.put(tx, told)
    await privacy.done(
        tx,
        [row["workspace_id"] for row in whole],
        [row["request_id"] for row in whole],
        [row["service"] for row in whole],
        [row["at"] for row in whole],
        len(SERVICES),
    )


def as_part(workspace_id: UUID, data: LeadExportedV1) -> personal.Part:
    """An event as it is kept."""
    return (workspace_id, data.request_id, data.service, data.n, data.last, data.contact_id, data.tables)


async def file_of(tx: Connection, workspace_id: UUID, request_id: UUID) -> bytes:
    """A ZIP of every table, as JSON and as CSV. Raises PrivacyRequestNotFound, StillCollecting."""
    request = await privacy.get(tx, workspace_id, request_id)
    if request is None or request["kind"] != "export":
        raise PrivacyRequestNotFound(request_id=str(request_id))
    if request["completed_at"] is None:
        raise StillCollecting(mend="Read the request again until its status is completed")
    told: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for part in await personal.told(tx, workspace_id, request_id):
        for table, rows in part["tables"].items():
            told.setdefault((part["service"], table), []).extend(rows)
    if not told:
        raise PrivacyRequestNotFound(
            "The data is not kept any more",
            mend=f"Ask again; it is kept for {KEPT.days} days",
            request_id=str(request_id),
        )
    return _zipped(told)


def _zipped(told: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> bytes:
    file = io.BytesIO()
    now = datetime.now(UTC).timetuple()[:6]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for (service, table), rows in sorted(told.items()):
            text = json.dumps(rows, ensure_ascii=False, indent=1)
            archive.writestr(zipfile.ZipInfo(f"{service}/{table}.json", now), text, zipfile.ZIP_DEFLATED)
            archive.writestr(zipfile.ZipInfo(f"{service}/{table}.csv", now), _csv(rows), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([[_cell(row.get(name)) for name in names] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value)
    return json.dumps(value, ensure_ascii=False)


async def forget_fetched(db: Database) -> None:
    """The periodic job: what was collected is not kept for long."""
    more = True
    while more:
        async with db.transaction() as tx:
            more = await personal.forget_old(tx, KEPT)
