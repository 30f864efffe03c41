"""Forms, and what was sent with them."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection


async def insert(
    tx: Connection, workspace_id: UUID, form_id: UUID, name: str, definition: Any, created_by: str
) -> asyncpg.Record:
    """A new form."""
    row = await tx.fetchrow(
        "insert into forms (workspace_id, id, name, definition, created_by) values ($1, $2, $3, $4, $5) returning *",
        workspace_id,
        form_id,
        name,
        definition,
        created_by,
    )
    assert row is not None  # noqa: S101
    return row


async def find(tx: Connection, workspace_id: UUID, form_id: UUID) -> asyncpg.Record | None:
    """A form that is not deleted."""
    return await tx.fetchrow(
        "select * from forms where workspace_id = $1 and id = $2 and not deleted", workspace_id, form_id
    )


async def locked(tx: Connection, workspace_id: UUID, form_id: UUID) -> asyncpg.Record | None:
    """A form that is not deleted, locked."""
    return await tx.fetchrow(
        "select * from forms where workspace_id = $1 and id = $2 and not deleted for update", workspace_id, form_id
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Forms, the newest first."""
    return await tx.fetch(
        "select * from forms where workspace_id = $1 and not deleted and ($2::uuid is null or id < $2)"
        " order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def change(
    tx: Connection, workspace_id: UUID, form_id: UUID, name: str, definition: Any, *, deleted: bool = False
) -> asyncpg.Record:
    """Change or delete a locked form; its revision rises."""
    row = await tx.fetchrow(
        "update forms set name = $3, definition = $4, deleted = $5, revision = revision + 1, updated_at = now()"
        " where workspace_id = $1 and id = $2 returning *",
        workspace_id,
        form_id,
        name,
        definition,
        deleted,
    )
    assert row is not None  # noqa: S101
    return row


_SUBMIT = """
insert into form_submissions (workspace_id, id, form_id, contact_id, address_hash, outcome, fields, language, ip, agent)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def add_submission(
    tx: Connection,
    workspace_id: UUID,
    submission_id: UUID,
    form_id: UUID,
    contact_id: UUID,
    address_hash: bytes,
    outcome: str,
    fields: Any,
    language: str,
    ip: str | None,
    agent: str | None,
) -> None:
    """Store what somebody sent."""
    await tx.execute(
        _SUBMIT,
        workspace_id,
        submission_id,
        form_id,
        contact_id,
        address_hash,
        outcome,
        fields,
        language,
        ip,
        agent,
    )


async def submission(tx: Connection, workspace_id: UUID, submission_id: UUID) -> asyncpg.Record | None:
    """One submission with its form's definition, even if that is deleted since."""
    return await tx.fetchrow(
        "select s.*, f.definition from form_submissions s"
        " join forms f on f.workspace_id = s.workspace_id and f.id = s.form_id"
        " where s.workspace_id = $1 and s.id = $2",
        workspace_id,
        submission_id,
    )


async def set_outcome(tx: Connection, workspace_id: UUID, submission_id: UUID, outcome: str) -> None:
    """What became of a submission."""
    await tx.execute(
        "update form_submissions set outcome = $3 where workspace_id = $1 and id = $2",
        workspace_id,
        submission_id,
        outcome,
    )


async def submissions(
    tx: Connection, workspace_id: UUID, form_id: UUID, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """What was sent with a form, the newest first."""
    return await tx.fetch(
        "select * from form_submissions where workspace_id = $1 and form_id = $2 and ($3::uuid is null or id < $3)"
        " order by id desc limit $4",
        workspace_id,
        form_id,
        before,
        limit,
    )
