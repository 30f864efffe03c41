"""Contacts put straight into the tables, for tests of what reads them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts.addresses import normalise_address
from common.db.pool import Database
from common.ids import new_id, purpose_id

NEWSLETTER = "newsletter"


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass
class Someone:
    """A contact to store."""

    email: str
    consent: str | None = "subscribed"
    fields: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    id: UUID = field(default_factory=new_id)


async def define(db: Database, workspace_id: UUID, name: str, kind: str, *, indexed: bool = False) -> None:
    async with db.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into attribute_definitions (workspace_id, name, type, indexed) values ($1, $2, $3, $4)",
            workspace_id, name, kind, indexed,
        )  # fmt: skip


async def store(db: Database, workspace_id: UUID, people: Sequence[Someone]) -> None:
    async with db.transaction(workspace_id) as tx:
        for one in people:
            address = normalise_address(one.email)
            row = {
                "workspace_id": workspace_id, "id": one.id, "email": one.email, "email_normalised": address,
                "address_hash": digest(address), "domain_hash": digest(address.split("@")[1]),
                "attributes": dict(one.attributes), "tags": list(one.tags), **one.fields,
            }  # fmt: skip
            marks = ", ".join(f"${n + 1}" for n in range(len(row)))
            await tx.execute(f"insert into contacts ({', '.join(row)}) values ({marks})", *row.values())
        await tx.executemany(
            "insert into consents (workspace_id, contact_id, purpose_id, status) values ($1, $2, $3, $4)",
            [
                (workspace_id, one.id, purpose_id(workspace_id, NEWSLETTER), one.consent)
                for one in people
                if one.consent is not None
            ],
        )


async def suppress(db: Database, workspace_id: UUID, scope: str, text: str, **fields: Any) -> None:
    row = {"workspace_id": workspace_id, "id": new_id(), "scope": scope, "hash": digest(text), "reason": "manual"}
    row |= fields
    async with db.transaction(workspace_id) as tx:
        marks = ", ".join(f"${n + 1}" for n in range(len(row)))
        await tx.execute(f"insert into suppressions ({', '.join(row)}) values ({marks})", *row.values())


async def make_list(db: Database, workspace_id: UUID, members: Sequence[UUID]) -> UUID:
    list_id = new_id()
    async with db.transaction(workspace_id) as tx:
        await tx.execute("insert into lists (workspace_id, id, name) values ($1, $2, 'a list')", workspace_id, list_id)
        await tx.execute(
            "insert into list_members (workspace_id, list_id, contact_id) select $1, $2, unnest($3::uuid[])",
            workspace_id, list_id, members,
        )  # fmt: skip
    return list_id


async def make_segment(db: Database, workspace_id: UUID, rule: Any) -> UUID:
    segment_id = new_id()
    async with db.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into segments (workspace_id, id, name, rule) values ($1, $2, 'a segment', $3)",
            workspace_id, segment_id, rule,
        )  # fmt: skip
    return segment_id


async def erase(db: Database, workspace_id: UUID, contact_id: UUID) -> None:
    async with db.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into tombstones (workspace_id, contact_id, address_hash, request_id) values ($1, $2, '', $2)",
            workspace_id, contact_id,
        )  # fmt: skip
        await tx.execute("delete from contacts where workspace_id = $1 and id = $2", workspace_id, contact_id)


async def happened(
    db: Database, workspace_id: UUID, contact_id: UUID, kind: str, ago: timedelta, *, machine: bool = False
) -> None:
    async with db.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into activity (workspace_id, event_id, contact_id, type, at, machine) values ($1,$2,$3,$4,$5,$6)",
            workspace_id, new_id(), contact_id, kind, datetime.now(UTC) - ago, machine,
        )  # fmt: skip
