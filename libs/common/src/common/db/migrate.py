"""Migrations: one Alembic tree per service, all run the same way.

A revision is plain SQL in `op.execute`; several statements in one call are fine. `create index concurrently`
goes into `with op.get_context().autocommit_block():`.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from common.errors import Misconfigured

# A migration never queues behind a long transaction, with all other queries queueing behind it.
LOCK_TIMEOUT = "5s"
_LOCK = 0x6261726964


def migrations_of(service: str | Path) -> Path:
    """The folder of a service's migrations; the bus has its own within common. Raises Misconfigured."""
    if isinstance(service, Path):
        return service
    spec = find_spec("common.bus" if service == "bus" else service)
    if spec is None or spec.origin is None:
        raise Misconfigured(f"the service {service} is not installed")
    package = Path(spec.origin).parent
    for folder in (package / "migrations", package.parent.parent / "migrations"):
        if (folder / "env.py").exists():
            return folder
    raise Misconfigured(f"the migrations of {service} are not installed beside {package}")


def upgrade(service: str | Path, url: str) -> None:
    """Bring a database to the newest revision. Blocks: a coroutine with other work calls it by `asyncio.to_thread`."""
    with ThreadPoolExecutor(1) as thread:  # Alembic needs a loop of its own, and ours may be running
        thread.submit(command.upgrade, _config(service, url), "head").result()


def head(service: str | Path) -> str | None:
    """The newest revision there is."""
    return ScriptDirectory.from_config(_config(service, "")).get_current_head()


async def current(url: str) -> str | None:
    """The revision a database is at."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        if await connection.fetchval("select to_regclass('alembic_version')") is None:
            return None
        found: str | None = await connection.fetchval("select version_num from alembic_version")
        return found
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
    connection.commit()
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


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
