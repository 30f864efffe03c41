"""Whose address is blocked because of how mail to it failed, in the dialogue as in what came back."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from common.db.pool import Connection
from common.ids import new_id

from delivery.db import blocks, strikes
from delivery.db.strikes import StrikeClass

AT_ONCE = frozenset({"bad_mailbox", "complaint"})
WHEN_REPEATED: dict[str, StrikeClass] = {"bad_domain": "bad_domain", "mailbox_full": "mailbox_full"}


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """Why mail to a message's address failed. Policy, content, rate and what is unknown never block anybody."""

    reason: str
    workspace_id: UUID
    message_id: UUID


async def block_failed(tx: Connection, failures: Iterable[Failure]) -> dict[UUID, UUID]:
    """Block at once, or when it has been enough; message id → the id of the block that stands now.

    In the transaction of what tells of it, after messages and counters.
    """
    found = set(failures)
    due = {one for one in found if one.reason in AT_ONCE}
    repeated = sorted(one for one in found if one.reason in WHEN_REPEATED)
    if repeated:
        struck = await strikes.add(
            tx,
            [one.workspace_id for one in repeated],
            [one.message_id for one in repeated],
            [WHEN_REPEATED[one.reason] for one in repeated],
        )
        due.update(Failure(reason, workspace_id, message_id) for workspace_id, message_id, reason in struck)
    block_ids: dict[UUID, UUID] = {}
    for reason, group in groupby(sorted(due), key=lambda one: one.reason):
        ones = list(group)
        block_ids |= await blocks.block_addresses(
            tx,
            [one.workspace_id for one in ones],
            [one.message_id for one in ones],
            [new_id() for _ in ones],
            reason,
        )
    return block_ids
