"""Who a campaign is for: rules and lists together, less those whom other rules leave out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from contacts.db import segment_sql
from contacts.db import segment_tables as tables
from contacts.domain import segment_binding as bound


def chosen(
    wanted: Sequence[bound.Bound],
    list_ids: Sequence[UUID],
    unwanted: Sequence[bound.Bound],
    workspace_id: UUID,
    now: datetime,
    limits: Mapping[UUID, int] = MappingProxyType({}),
) -> sa.Select[Any]:
    """`id, left_out, over_limit` of everybody for whom a wanted rule holds or who is on a list, each once.

    `left_out`: an unwanted rule holds too. `over_limit`: only on lists that may bring no more (`limits`) in.
    """
    free = [list_id for list_id in list_ids if list_id not in limits]
    sources = [
        sa.select(tables.members.c.contact_id.label("id"), sa.false().label("over")).where(
            tables.members.c.workspace_id == workspace_id,
            tables.members.c.list_id == sa.any_(sa.bindparam("lists", free, ARRAY(sa.Uuid()), unique=True)),
        ),
        *(_over_limit(list_id, limit, workspace_id) for list_id, limit in limits.items()),
        *(
            sa.select(segment_sql.matching(rule, workspace_id, now).subquery().c.id, sa.false().label("over"))
            for rule in wanted
        ),
    ]
    each = sa.union_all(*sources).subquery("each")
    # Somebody over the limit of one list may be in the audience for another reason.
    everybody = (
        sa.select(each.c.id, sa.func.bool_and(each.c.over).label("over")).group_by(each.c.id).subquery("everybody")
    )
    view = tables.View(workspace_id, now)
    left_out = segment_sql.condition(bound.Some(tuple(unwanted)), view).is_(sa.true()) if unwanted else sa.false()
    return (
        sa.select(tables.contacts.c.id, left_out.label("left_out"), everybody.c.over.label("over_limit"))
        .select_from(everybody.join(tables.contacts, tables.contacts.c.id == everybody.c.id))
        .where(tables.contacts.c.workspace_id == workspace_id)
    )


def _over_limit(list_id: UUID, limit: int, workspace_id: UUID) -> sa.Select[Any]:
    """Who is on the list, and whether so many were added before."""
    place = sa.func.row_number().over(order_by=(tables.members.c.added_at, tables.members.c.contact_id))
    most = sa.bindparam("most", limit, sa.BigInteger(), unique=True)
    return sa.select(tables.members.c.contact_id.label("id"), (place > most).label("over")).where(
        tables.members.c.workspace_id == workspace_id, tables.members.c.list_id == list_id
    )
