"""Which errors pass by themselves."""

import asyncpg

from common.db.pool import TRANSIENT


def passes(error: BaseException) -> bool:
    """Whether the same work may simply be tried again: connection, lock, serialisation, disk; not the work's fault.

    The driver reports both a closed connection and its own misuse as InterfaceError; the latter never passes.
    """
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)
    # A plan that a migration made stale is planned again at the next try.
    return isinstance(error, (*TRANSIENT, asyncpg.InvalidCachedStatementError))
