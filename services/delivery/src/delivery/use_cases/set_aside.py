"""What a workspace does with a mail of its own that was set aside: have it judged again, or thrown away."""

import asyncio
import logging
from uuid import UUID

import asyncpg
from common.db.pool import TRANSIENT, Database

from delivery.db import forwards, set_aside
from delivery.domain.claims import Matcher
from delivery.domain.returns import read_returns
from delivery.errors import BounceTooLarge, BounceTooManyParts, SetAsideNotFound, StillUnreadable
from delivery.use_cases.intake import NOT_FORWARDED
from delivery.use_cases.returns import Taken, take_returns

log = logging.getLogger(__name__)


async def judge_again(db: Database, matcher: Matcher, workspace_id: UUID, id_: UUID) -> list[Taken]:
    """Take a mail in as if it came now; an answer that was refused where it should go is sent there again.

    Raises SetAsideNotFound, and BounceTooManyParts, BounceTooLarge or StillUnreadable: then it stays where it is. It
    is taken in before it is forgotten: who dies between the two leaves a mail that changes nothing once more.
    """
    async with db.transaction(workspace_id) as tx:
        row = await set_aside.get(tx, workspace_id, id_)
        if row is None:
            raise SetAsideNotFound(set_aside_id=str(id_))
        if row["why"] == NOT_FORWARDED:
            if await set_aside.discard(tx, workspace_id, id_):
                await forwards.add(tx, [(workspace_id, id_, row["envelope"][0], row["mail"])])
            return []
    taken = await _take(db, matcher, workspace_id, row)
    async with db.transaction(workspace_id) as tx:
        await set_aside.discard(tx, workspace_id, id_)
    return taken


async def _take(db: Database, matcher: Matcher, workspace_id: UUID, row: asyncpg.Record) -> list[Taken]:
    try:
        found = await asyncio.to_thread(read_returns, row["mail"], row["envelope"], matcher, row["source"])
        return await take_returns(db, found, workspace_id)
    except TRANSIENT:
        raise
    except (BounceTooLarge, BounceTooManyParts):
        raise
    except Exception as error:
        log.exception("a mail cannot be read this time either", extra={"set_aside_id": str(row["id"])})
        raise StillUnreadable(set_aside_id=str(row["id"])) from error
