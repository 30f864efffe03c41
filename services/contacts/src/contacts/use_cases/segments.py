"""Segments: stored rules about contacts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.leads import SegmentChangedV1
from common.db.pool import Connection
from common.ids import new_id
from common.outbox.writer import Outgoing, record
from common.web.etags import require_match

from contacts.db import segment_people, segments
from contacts.domain.segment_binding import Happened
from contacts.domain.segment_explanation import Explained, explain
from contacts.domain.segment_mentions import leaves, named
from contacts.errors import ContactNotFound, PreviewTooSlow, SegmentInUse, SegmentUnknown
from contacts.use_cases import live_segments
from contacts.use_cases.segment_rules import usable

PREVIEW_S = 10.0
SAMPLE = 10


async def create_segment(
    tx: Connection, workspace_id: UUID, name: str, rule: Any, created_by: str, description: str = ""
) -> asyncpg.Record:
    """Store a segment and announce it. Raises InvalidRule, ListUnknown."""
    await segments.lock_names(tx, workspace_id)
    bound = await usable(tx, workspace_id, rule)
    row = await segments.insert(tx, workspace_id, new_id(), name, rule, description, created_by)
    await live_segments.plan(tx, workspace_id, row["id"], bound)
    await _announce(tx, row)
    return await _stored(tx, workspace_id, row["id"])


async def change_segment(
    tx: Connection, workspace_id: UUID, segment_id: UUID, changes: Mapping[str, Any], if_match: str | None
) -> asyncpg.Record:
    """Change name, rule or description. Campaigns that froze their audience keep it.

    Raises SegmentUnknown, PreconditionFailed, InvalidRule, ListUnknown.
    """
    row = await segments.locked(tx, workspace_id, segment_id)
    if row is None:
        raise SegmentUnknown
    require_match(if_match, row["revision"])
    rule = changes.get("rule", row["rule"])
    if all(row[name] == value for name, value in changes.items()):
        return await _stored(tx, workspace_id, segment_id)
    if "rule" in changes:
        await segments.lock_names(tx, workspace_id)
        await usable(tx, workspace_id, rule, own_id=segment_id)
    rule_before = row["rule"]
    row = await segments.change(tx, row, changes)
    if rule != rule_before:
        concerned = {segment_id, *(other["id"] for other in await segments.naming(tx, workspace_id, segment_id))}
        for one in sorted(concerned):  # as whoever moves members locks their states
            await live_segments.plan_stored(tx, workspace_id, one)
    await _announce(tx, row)
    return await _stored(tx, workspace_id, segment_id)


async def follow_definition(tx: Connection, workspace_id: UUID, event: str) -> None:
    """An event is defined otherwise now, or no more: segments that name it are judged anew, or say why they are not."""
    await segments.lock_names(tx, workspace_id)
    for one in sorted(await segments.naming_event(tx, workspace_id, event)):
        await live_segments.plan_stored(tx, workspace_id, one)


async def delete_segment(tx: Connection, workspace_id: UUID, segment_id: UUID, if_match: str | None) -> None:
    """Delete a segment; a campaign that starts with it later is rejected. Raises SegmentUnknown, PreconditionFailed."""
    row = await segments.locked(tx, workspace_id, segment_id)
    if row is None:
        raise SegmentUnknown
    require_match(if_match, row["revision"])
    await segments.lock_names(tx, workspace_id)
    if others := await segments.naming(tx, workspace_id, segment_id):
        raise SegmentInUse(
            "The rules of other segments name this one",
            mend="take it out of those rules first",
            segment_ids=[str(other["id"]) for other in others[:20]],
        )
    await _announce(tx, await segments.change(tx, row, {}, deleted=True))
    await live_segments.forget(tx, workspace_id, segment_id)


async def preview(
    tx: Connection,
    workspace_id: UUID,
    document: Any,
    now: datetime,
    timeout_s: float = PREVIEW_S,
    only_of: str | None = None,
) -> tuple[int, list[asyncpg.Record]]:
    """How many the rule holds for, and some of them. Raises InvalidRule, ListUnknown, PreviewTooSlow."""
    rule = await usable(tx, workspace_id, document, only_of=only_of)
    await segments.limit_time(tx, timeout_s)
    try:
        found = await segments.count(tx, workspace_id, rule, now)
        return found, await segments.sample(tx, workspace_id, rule, now, SAMPLE) if found else []
    except asyncpg.QueryCanceledError as error:
        raise PreviewTooSlow(
            f"counting took longer than {timeout_s:g} s", mend="index the attributes that the rule names"
        ) from error


async def explain_contact(
    tx: Connection, workspace_id: UUID, segment_id: UUID, contact_id: UUID, now: datetime
) -> Explained:
    """Which condition of the segment's rule holds for the contact now, and which does not.

    Raises SegmentUnknown, ContactNotFound, InvalidRule, ListUnknown.
    """
    row = await segments.find(tx, workspace_id, segment_id)
    if row is None:
        raise SegmentUnknown
    rule = await usable(tx, workspace_id, row["rule"], own_id=segment_id)
    events = sorted({leaf.event for leaf in leaves(rule) if isinstance(leaf, Happened)})
    person = await segment_people.person(tx, workspace_id, contact_id, events)
    if person is None:
        raise ContactNotFound
    names = await segment_people.names(tx, workspace_id, sorted(named(rule)))
    return explain(rule, person, now, names)


async def _stored(tx: Connection, workspace_id: UUID, segment_id: UUID) -> asyncpg.Record:
    row = await segments.find(tx, workspace_id, segment_id)
    assert row is not None  # noqa: S101
    return row


async def _announce(tx: Connection, row: asyncpg.Record) -> None:
    event = SegmentChangedV1(segment_id=row["id"], name=row["name"], deleted=row["deleted"], revision=row["revision"])
    await record(tx, [Outgoing(row["workspace_id"], event)])
