"""The rule of a segment, checked against its workspace."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.db.pool import Connection

from contacts.db import lists, segments
from contacts.domain.segment_binding import Attribute, Bound, bind
from contacts.domain.segment_rules import parse_rule, referenced_lists
from contacts.errors import ListUnknown


async def usable(
    tx: Connection, workspace_id: UUID, document: Any, attributes: Mapping[str, Attribute] | None = None
) -> Bound:
    """The rule, checked against the workspace. Raises InvalidRule, ListUnknown."""
    rule = parse_rule(document)
    named = sorted(referenced_lists(rule))
    if named and (missing := await lists.unknown(tx, workspace_id, named)):
        raise ListUnknown(
            f"the rule names the list {missing[0]}, which is not in this workspace",
            mend="name a list of GET /v1/lists",
            ids=[str(one) for one in missing[:20]],
        )
    known = attributes if attributes is not None else await segments.attributes(tx, workspace_id)
    return bind(rule, known, workspace_id)
