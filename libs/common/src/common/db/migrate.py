"""Migrations: one Alembic tree per service, all run the same way.

A revision is plain SQL in `op.execute`; several statements in one call are fine. `create index concurrently`
goes into `with op.get_context().autocommit_block():`. `oldest` beside `revision` names the oldest code that still
runs on the new schema; without it, that of the revision before.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from common.db import schema
from common.db.revisions import migrations_of, revisions_of
from common.errors import Misconfigured

# A migration never queues behind a long transaction, with all other queries queueing behind it.
LOCK_TIMEOUT = "5s"
_LOCK = 0x6261726964


def upgrade(service: str | Path, url: str) -> None:
    """Bring a database to the newest revision. Blocks: a coroutine with other work calls it by `asyncio.to_thread`.

    A newer schema that serves this code is left as it is, so that a release can be taken back; another one raises
    UnfitSchema.
    """
    with ThreadPoolExecutor(1) as thread:  # Alembic needs a loop of its own, and ours may be running
        thread.submit(_upgrade, service, url).result()


def _upgrade(service: str | Path, url: str) -> None:
    try:
        if asyncio.run(_newer(service, url)):
            return
        command.upgrade(_config(service, url), "head")
    except CommandError as error:
        raise schema.UnfitSchema(f"the database {schema.name_of(url)} cannot be migrated: {error}") from error


async def _newer(service: str | Path, url: str) -> bool:
    """Whether the database is at a later revision that serves this code. Raises UnfitSchema when it does not."""
    known = schema.known_to(service)
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await known.check(connection) != known.head
    except schema.OldSchema:
        return False
    finally:
        await connection.close()


def head(service: str | Path) -> str:
    """The newest revision there is."""
    return revisions_of(service)[-1].id


async def current(url: str) -> str | None:
    """The revision a database is at."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await schema.revision(connection)
    finally:
        await connection.close()


def run_env() -> None:
    """What every `env.py` does: run the migrations on the URL given to `upgrade`, or in ALEMBIC_DATABASE_URL."""
    url = context.config.attributes.get("url") or os.environ.get("ALEMBIC_DATABASE_URL")
    if not url:
        raise Misconfigured("ALEMBIC_DATABASE_URL is not set")
    asyncio.run(_run(url))


async def _run(url: str) -> None:
    async def connect(*_: Any, **__: Any) -> Any:
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "migrate", "jit": "off"})

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    event.listen(engine.sync_engine, "do_execute", _several_statements)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


def _migrate(connection: Connection) -> None:
    connection.exec_driver_sql(f"select pg_advisory_lock({_LOCK})")  # two deploys at once: the second waits
    connection.exec_driver_sql(f"set lock_timeout = '{LOCK_TIMEOUT}'")
    connection.exec_driver_sql(schema.RECORD)
    connection.commit()
    context.configure(
        connection=connection, target_metadata=None, transaction_per_migration=True, on_version_apply=_keep_oldest
    )
    with context.begin_transaction():
        context.run_migrations()


def _keep_oldest(ctx: MigrationContext, step: MigrationInfo, heads: Any, run_args: Any) -> None:  # noqa: ARG001
    """Tell older code, in the transaction of the migration, whether the schema still serves it."""
    oldest = {one.id: one.oldest for one in revisions_of(Path(context.script.dir))}
    if step.is_upgrade and step.up_revision_id is not None and ctx.connection is not None:
        ctx.connection.exec_driver_sql(schema.KEEP, (step.up_revision_id, oldest[step.up_revision_id]))


def _several_statements(cursor: Any, statement: str, parameters: Any, execution: Any) -> bool:
    """Send text of several statements by the simple protocol; the driver would prepare it, and can prepare only one."""
    if parameters or ";" not in statement.strip().rstrip(";"):
        return False
    cursor.execute("select 1")  # begins the transaction, if there is to be one
    cursor.fetchall()
    driver = execution.root_connection.connection.driver_connection
    await_only(driver.execute(statement))
    return True


def _config(service: str | Path, url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_of(service)).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config
