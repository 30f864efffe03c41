from pathlib import Path

import asyncpg
import pytest
from common.db.migrate import current, head, migrations_of, upgrade

REVISION = """
from alembic import op
revision = "0001"
down_revision = None

def upgrade():
    op.execute("create table one (id int); create table two (id int); insert into one values (1), (2)")
    with op.get_context().autocommit_block():
        op.execute("create index concurrently one_by_id on one (id)")
"""
BROKEN = """
from alembic import op
revision = "0002"
down_revision = "0001"

def upgrade():
    op.execute("create table three (id int); select 1/0")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text("from common.db.migrate import run_env\n\nrun_env()\n")
    (tmp_path / "versions" / "0001_one.py").write_text(REVISION)
    return tmp_path


def _database(url: str, name: str) -> str:
    import asyncio

    async def make() -> None:
        admin = await asyncpg.connect(url)
        await admin.execute(f"create database {name}")
        await admin.close()

    with asyncio.Runner() as runner:
        runner.run(make())
    from barid.provision import derive

    return derive(url, name)


def _ask(url: str, query: str):
    import asyncio

    async def ask():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        return runner.run(ask())


def _current(url: str):
    import asyncio

    with asyncio.Runner() as runner:
        return runner.run(current(url))


def test_upgrade_runs_several_statements_and_a_concurrent_index_and_twice_is_once(postgres_url, tree) -> None:
    url = _database(postgres_url, "migrations_several")
    assert _current(url) is None
    upgrade(tree, url)
    upgrade(tree, url)
    assert _ask(url, "select count(*) from one") == 2
    assert _ask(url, "select indisvalid from pg_index where indexrelid = 'one_by_id'::regclass")
    assert _current(url) == head(tree) == "0001"


def test_a_failing_revision_leaves_nothing_behind(postgres_url, tree) -> None:
    url = _database(postgres_url, "migrations_broken")
    (tree / "versions" / "0002_broken.py").write_text(BROKEN)
    with pytest.raises(Exception, match="division by zero"):
        upgrade(tree, url)
    assert _current(url) == "0001"
    assert _ask(url, "select to_regclass('three')") is None


@pytest.mark.parametrize("service", ["contacts", "campaigns", "delivery", "analytics", "bus"])
def test_every_service_is_at_its_newest_revision(service: str, postgres) -> None:
    if not list((migrations_of(service) / "versions").glob("*.py")):
        pytest.fail(f"{service} has no migrations")
    url = postgres.role_url(f"{service}_owner", postgres.template(service))
    assert _current(url) == head(service) is not None
