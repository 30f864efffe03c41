"""Statements whose row the caller has locked or just made, so that there always is one."""

from typing import Any

import asyncpg
from common.db.pool import Connection


async def returning(tx: Connection, statement: str, *arguments: Any) -> asyncpg.Record:
    """The one row a statement returns."""
    row = await tx.fetchrow(statement, *arguments)
    if row is None:
        raise LookupError(statement)
    return row
