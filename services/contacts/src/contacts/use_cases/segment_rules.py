"""The rule of a segment, checked against its workspace."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.db.pool import Connection

from contacts.db import event_definitions, lists, segment_snapshots, segments
from contacts.domain.segment_binding import Attribute, Bound, bind
from contacts.domain.segment_mentions import leaves
from contacts.domain.segment_rules import (
    Rule,
    parse_rule,
    referenced_events,
    referenced_lists,
    referenced_segments,
    referenced_snapshots,
)
from contacts.errors import InvalidRule, ListUnknown, SegmentUnknown, SnapshotNotFrozen, SnapshotUnknown

MOST_SEGMENTS = 50
MOST_LEAVES = 500


async def usable(
    tx: Connection,
    workspace_id: UUID,
    document: Any,
    attributes: Mapping[str, Attribute] | None = None,
    *,
    own_id: UUID | None = None,
    only_of: str | None = None,
) -> Bound:
    """The rule, checked against the workspace. `own_id`: the segment whose rule it is to be. `only_of`: a contributor,
    for whom there are the own lists only.

    The rules of segments that it names are part of it: so it means the same at every moment, whether or not their
    members have been found yet. Raises InvalidRule, ListUnknown, SegmentUnknown,
    SnapshotUnknown, SnapshotNotFrozen.
    """
    rule = parse_rule(document)
    others = await _named_by(tx, workspace_id, rule, own_id)
    whole = (rule, *(other for _, other in others.values()))
    await _snapshots_are_frozen(tx, workspace_id, {one for each in whole for one in referenced_snapshots(each)})
    named = sorted({one for each in whole for one in referenced_lists(each)})
    missing = await lists.unknown(tx, workspace_id, named) if named else []
    if only_of is not None and not missing:
        missing = await lists.unknown(tx, workspace_id, sorted(referenced_lists(rule)), only_of)
    if missing:
        raise ListUnknown(
            f"the rule names the list {missing[0]}, which is not in this workspace",
            mend="name a list of GET /v1/lists",
            ids=[str(one) for one in missing[:20]],
        )
    known = attributes if attributes is not None else await segments.attributes(tx, workspace_id)
    told = sorted({one for each in whole for one in referenced_events(each)})
    events = await event_definitions.definitions(tx, workspace_id, told) if told else {}
    done: dict[UUID, Bound] = {}

    def resolve(rule: Rule, path: tuple[UUID, ...]) -> Bound:
        for one in sorted(referenced_segments(rule)):
            if one in path:
                _refuse_circle((*path[path.index(one) :], one), others)
            if one not in done:
                done[one] = resolve(others[one][1], (*path, one))
        bound = bind(rule, known, workspace_id, segments=done, events=events)
        if sum(1 for _ in leaves(bound)) > MOST_LEAVES:
            raise InvalidRule(
                f"together with the segments it names, the rule has more than {MOST_LEAVES} conditions",
                mend="name fewer segments, or put people on a list",
                pointer="/rule",
            )
        return bound

    return resolve(rule, () if own_id is None else (own_id,))


async def _named_by(
    tx: Connection, workspace_id: UUID, rule: Rule, own_id: UUID | None
) -> dict[UUID, tuple[str, Rule]]:
    """Every segment that the rule names, and those that these name: its name and rule."""
    found: dict[UUID, tuple[str, Rule]] = {}
    wanted = referenced_segments(rule) | ({own_id} if own_id and referenced_segments(rule) else set())
    while wanted:
        rows = await segments.named(tx, workspace_id, sorted(wanted))
        if missing := sorted(wanted - {row["id"] for row in rows}):
            raise SegmentUnknown(
                f"the rule names the segment {missing[0]}, which is not in this workspace",
                mend="name a segment of GET /v1/segments",
                ids=[str(one) for one in missing[:20]],
            )
        found |= {row["id"]: (row["name"], parse_rule(row["rule"])) for row in rows}
        if len(found) > MOST_SEGMENTS:
            raise InvalidRule(
                f"the rule stands on more than {MOST_SEGMENTS} other segments",
                mend="name fewer, or put people on a list",
                pointer="/rule",
            )
        wanted = {one for row in rows for one in referenced_segments(found[row["id"]][1])} - found.keys()
    return found


async def _snapshots_are_frozen(tx: Connection, workspace_id: UUID, wanted: set[UUID]) -> None:
    known = await segment_snapshots.frozen(tx, workspace_id, sorted(wanted)) if wanted else {}
    if missing := sorted(wanted - known.keys()):
        raise SnapshotUnknown(
            f"the rule names the snapshot {missing[0]}, which is not in this workspace",
            mend="name a snapshot of GET /v1/segments/{id}/snapshots",
        )
    if waiting := sorted(one for one in wanted if not known[one]):
        raise SnapshotNotFrozen(f"the snapshot {waiting[0]} is not frozen yet", mend="wait until it has a size")


def _refuse_circle(path: tuple[UUID, ...], others: Mapping[UUID, tuple[str, Rule]]) -> None:
    raise InvalidRule(
        f"segments name each other in a circle: {' → '.join(others[one][0] for one in path)}",
        mend="take one of these segments out of the rule",
        pointer="/rule",
        path=[str(one) for one in path],
    )
