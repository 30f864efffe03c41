"""Database access: a pool, and transactions that carry the workspace for row-level security."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    Connection = PoolConnectionProxy[asyncpg.Record]
else:
    Connection = PoolConnectionProxy  # generic for type checkers only

# For a process that finds all its rows by key, a few at a time: the planner shall neither read nor sort whole tables,
# nor think anew for each execution. Right after a table was filled it has no statistics, takes one index to be as good
# as another, and may read a whole campaign to find sixty messages.
BY_KEY: Mapping[str, str] = {
    "enable_seqscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}

# Errors after which the same work may simply be tried again.
TRANSIENT: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut off between two messages
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,
    asyncpg.ObjectInUseError,
    ConnectionError,
    TimeoutError,
    OSError,
)


async def _prepare(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name,
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
            schema="pg_catalog",
            format="text",
        )


async def _keep(_connection: Any) -> None:
    """No reset on release: nothing here sets session state, and the reset would cost a round trip."""


class Database:
    """A pool of connections under one role."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        name: str,
        max_size: int = 8,
        min_size: int = 0,
        statement_timeout_s: float = 60.0,
        idle_timeout_s: float = 60.0,
        planner: Mapping[str, str] | None = None,
    ) -> "Database":
        """Open a pool. `name` shows in pg_stat_activity. Does not connect before the first use.

        `idle_timeout_s`: how long a transaction may wait for its process between two statements. `planner`: settings
        of PostgreSQL's planner, such as BY_KEY.
        """
        pool = asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            init=_prepare,
            reset=_keep,
            timeout=5,
            command_timeout=statement_timeout_s + 5,
            server_settings={
                "application_name": name,
                "jit": "off",
                "statement_timeout": str(int(statement_timeout_s * 1000)),
                "idle_in_transaction_session_timeout": str(int(idle_timeout_s * 1000)),
                "timezone": "UTC",
                **(planner or {}),
            },
        )
        await pool
        return cls(pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside a transaction (autocommit)."""
        async with self.pool.acquire(timeout=10) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(
        self, workspace_id: UUID | None = None, *, readonly: bool = False
    ) -> AsyncIterator[Connection]:
        """One transaction: committed at the end of the block, rolled back on any error.

        With a workspace, row-level security shows only its rows to the API role.
        """
        begin = "begin read only" if readonly else "begin"
        if workspace_id is not None:
            begin += f"; set local barid.workspace = '{UUID(str(workspace_id))}'"
        async with self.pool.acquire(timeout=10) as connection:
            await connection.execute(begin)
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await asyncio.shield(_rollback(connection))
                raise
            # PostgreSQL answers ROLLBACK to the commit of a transaction in which a statement failed.
            if await connection.execute("commit") != "COMMIT":
                raise asyncpg.InFailedSQLTransactionError("a statement failed, so nothing was committed")

    async def close(self) -> None:
        """Close every connection; those in use get two seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), 2)
        except TimeoutError:
            self.pool.terminate()


async def _rollback(connection: Connection) -> None:
    try:
        await connection.execute("rollback", timeout=5)
    except Exception:
        connection.terminate()
