"""Defining attributes, and building the index of one that is there already."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.jobs import JobContext, enqueue

from contacts.db import attributes, bulk, contacts
from contacts.db.bulk import Change
from contacts.domain.values import AttributeType, is_attribute_name
from contacts.errors import AttributeBeingDeleted, AttributeExists, AttributeInUse, AttributeNotFound, InvalidField
from contacts.use_cases.consents import Actor

INDEX_JOB = "index_attribute"
REMOVE_JOB = "remove_attribute"
_PART = 20_000
_RANGE = 2_000
_FIRST = UUID(int=0)


async def create_attribute(
    tx: Connection,
    workspace_id: UUID,
    name: str,
    kind: AttributeType,
    label: str | None,
    allowed: Sequence[str] | None,
    *,
    indexed: bool,
) -> asyncpg.Record:
    """Define an attribute. Raises InvalidField, AttributeExists, AttributeBeingDeleted."""
    if not is_attribute_name(name):
        raise InvalidField(
            f"{name[:80]!r} cannot be an attribute's name",
            where="/name",
            mend="Use letters, digits and underscores, not a digit first, at most 63",
        )
    row = await attributes.insert(tx, workspace_id, name, kind, label, _allowed(kind, allowed), indexed=indexed)
    if row is None:
        raise AttributeExists(attribute=name)
    # Asked after the insert, which waits for a deletion that is under way.
    if await attributes.is_being_removed(tx, REMOVE_JOB, _key(workspace_id, name)):
        raise AttributeBeingDeleted(attribute=name, mend="Try again in a while")
    return row


async def lock_attribute(tx: Connection, workspace_id: UUID, name: str) -> asyncpg.Record:
    """The definition, locked. Raises AttributeNotFound."""
    row = await attributes.locked(tx, workspace_id, name) if is_attribute_name(name) else None
    if row is None:
        raise AttributeNotFound(attribute=name)
    return row


async def change_attribute(
    tx: Connection, workspace_id: UUID, before: asyncpg.Record, patch: Mapping[str, Any]
) -> asyncpg.Record:
    """Apply a merge patch to a locked definition. A new index is filled by a job. Raises InvalidField."""
    indexed = bool(patch.get("indexed", before["indexed"]))
    label, allowed = (patch.get(name, before[name]) for name in ("label", "allowed_values"))
    row = await attributes.change(
        tx, workspace_id, before["name"], label, _allowed(before["type"], allowed), indexed=indexed
    )
    assert row is not None  # noqa: S101
    if indexed and not before["indexed"]:
        job_id = await enqueue(tx, INDEX_JOB, {"name": before["name"]}, workspace_id=workspace_id)
        await attributes.await_index(tx, workspace_id, before["name"], job_id)
    if before["indexed"] and not indexed:
        await attributes.await_index(tx, workspace_id, before["name"], None)
        await attributes.drop_index(tx, workspace_id, before["name"])
    return row


async def delete_attribute(tx: Connection, workspace_id: UUID, before: asyncpg.Record, actor: Actor) -> None:
    """Delete a locked definition; a job takes the values away. Raises AttributeInUse."""
    name = before["name"]
    if users := await attributes.users(tx, workspace_id, name):
        raise AttributeInUse(
            f"the segment {users[0]['name']!r} names this attribute",
            mend="change or delete the segments that name it",
            segment_ids=[str(user["id"]) for user in users],
        )
    if before["indexed"]:
        await attributes.drop_index(tx, workspace_id, name)
    await attributes.delete(tx, workspace_id, name)
    args = {"name": name, "actor": actor.name}
    await enqueue(tx, REMOVE_JOB, args, workspace_id=workspace_id, unique_key=_key(workspace_id, name))


async def run_remove_job(ctx: JobContext) -> None:
    """The job kind `remove_attribute`: part by part, each contact that had a value is changed and announced."""
    assert ctx.workspace_id is not None  # noqa: S101
    workspace_id, change = ctx.workspace_id, Change(remove_attributes=[ctx.args["name"]])
    after: UUID | None = UUID(ctx.checkpoint["after"]) if "after" in ctx.checkpoint else _FIRST
    while after is not None:
        async with ctx.db.transaction() as tx:
            last, ids = await attributes.holders(tx, workspace_id, ctx.args["name"], after, _PART)
            for start in range(0, len(ids), _RANGE):
                part = ids[start : start + _RANGE]
                await contacts.lock_all(tx, [workspace_id] * len(part), part)
                await bulk.change(tx, workspace_id, part, change, ctx.args["actor"], "attribute deleted")
            if last is not None:
                await ctx.save(tx, checkpoint={"after": str(last)})
        after = last


def _key(workspace_id: UUID, name: str) -> str:
    return f"{workspace_id}/{name}"


def _allowed(kind: AttributeType, allowed: Sequence[str] | None) -> list[str] | None:
    if allowed is not None and kind != "text":
        raise InvalidField(
            f"a {kind} has no list of allowed values", where="/allowed_values", mend="Leave it out, or use type text"
        )
    return None if allowed is None else sorted(set(allowed))


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
