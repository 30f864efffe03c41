"""Defining attributes, and building the index of one that is there already."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.jobs import JobContext, enqueue

from contacts.db import attributes
from contacts.domain.values import AttributeType, is_attribute_name
from contacts.errors import AttributeExists, AttributeNotFound, InvalidField

INDEX_JOB = "index_attribute"
_PART = 20_000
_FIRST = UUID(int=0)


async def create_attribute(
    tx: Connection, workspace_id: UUID, name: str, kind: AttributeType, label: str | None, *, indexed: bool
) -> asyncpg.Record:
    """Define an attribute. Raises InvalidField, AttributeExists."""
    if not is_attribute_name(name):
        raise InvalidField(
            f"{name[:80]!r} cannot be an attribute's name",
            where="/name",
            mend="Use letters, digits and underscores, not a digit first, at most 63",
        )
    row = await attributes.insert(tx, workspace_id, name, kind, label, indexed=indexed)
    if row is None:
        raise AttributeExists(attribute=name)
    return row


async def lock_attribute(tx: Connection, workspace_id: UUID, name: str) -> asyncpg.Record:
    """The definition, locked. Raises AttributeNotFound."""
    row = await attributes.locked(tx, workspace_id, name)
    if row is None:
        raise AttributeNotFound(attribute=name)
    return row


async def change_attribute(
    tx: Connection, workspace_id: UUID, before: asyncpg.Record, patch: Mapping[str, Any]
) -> asyncpg.Record:
    """Apply a merge patch to a locked definition. A new index is filled by a job."""
    indexed = bool(patch.get("indexed", before["indexed"]))
    row = await attributes.change(
        tx, workspace_id, before["name"], patch.get("label", before["label"]), indexed=indexed
    )
    assert row is not None  # noqa: S101
    if indexed and not before["indexed"]:
        job_id = await enqueue(tx, INDEX_JOB, {"name": before["name"]}, workspace_id=workspace_id)
        await attributes.await_index(tx, workspace_id, before["name"], job_id)
    if before["indexed"] and not indexed:
        await attributes.await_index(tx, workspace_id, before["name"], None)
        await attributes.drop_index(tx, workspace_id, before["name"])
    return row


async def run_index_job(ctx: JobContext) -> None:
    """The job kind `index_attribute`: values already there, part by part; new ones come by themselves."""
    assert ctx.workspace_id is not None  # noqa: S101
    after: UUID | None = UUID(ctx.checkpoint["after"]) if "after" in ctx.checkpoint else _FIRST
    while after is not None and not ctx.cancelled:
        async with ctx.db.transaction() as tx:
            row = await attributes.locked(tx, ctx.workspace_id, ctx.args["name"])
            if row is None or row["index_job"] != ctx.job_id:
                return  # no longer wanted, or begun anew by a later job
            after = await attributes.fill_index(tx, ctx.workspace_id, row["name"], row["type"], after, _PART)
            if after is None:
                await attributes.await_index(tx, ctx.workspace_id, row["name"], None)
            else:
                await ctx.save(tx, checkpoint={"after": str(after)})
