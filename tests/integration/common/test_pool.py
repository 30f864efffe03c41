"""Transactions that outlive their process."""

import asyncio

import pytest
from common.db.pool import TRANSIENT, Database


async def wait_inside(silent: Database, other: Database) -> None:
    """A transaction with a lock, whose process says nothing until somebody else has it."""
    async with silent.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock(7)")
        async with asyncio.timeout(5), other.transaction() as theirs:
            await theirs.execute("select pg_advisory_xact_lock(7)")


async def test_a_transaction_whose_process_went_silent_lets_go_of_its_locks(delivery_db):
    silent = await Database.open(delivery_db.worker_url, name="silent", idle_timeout_s=0.3)
    try:
        with pytest.raises(TRANSIENT):
            await wait_inside(silent, delivery_db.worker)
        async with silent.transaction() as again:
            assert await again.fetchval("select 1") == 1
    finally:
        await silent.close()


async def test_a_transaction_at_work_is_left_alone(delivery_db):
    busy = await Database.open(delivery_db.worker_url, name="busy", idle_timeout_s=0.3)
    try:
        async with busy.transaction() as tx:
            assert await tx.fetchval("select 1 from pg_sleep(0.6)") == 1
    finally:
        await busy.close()
