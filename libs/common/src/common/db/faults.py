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


def of_the_schema(error: BaseException) -> bool:
    """Whether a statement does not fit the database: a missing table, column, function or right (class 42).

    No event is at fault then, and none may be buried for it.
    """
    return isinstance(error, asyncpg.SyntaxOrAccessError)
