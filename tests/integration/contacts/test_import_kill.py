"""A jobs process killed while it merges: another one goes on, and everything has happened exactly once."""

import asyncio
import os
import random
import sys
from collections import Counter

from tests.fixtures import messy_contacts
from tests.integration.contacts.service import finished, jobs_running, upload

ROWS = 15_000
KILLS = 2


async def _kill_in_the_middle(database, env: dict[str, str], pause_s: float) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "contacts", "jobs", env={**os.environ, **env},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with database.worker.connection() as connection:
            for _ in range(400):
                if await connection.fetchval("select lease_until > now() from jobs where kind = 'import'"):
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("the process did not take the job")
        await asyncio.sleep(pause_s)
    finally:
        process.kill()
        await process.wait()
    async with database.worker.connection() as connection:
        # As if the dead process's lease were over.
        await connection.execute("update jobs set lease_until = now() where kind = 'import' and state = 'running'")


async def test_an_import_killed_again_and_again_is_merged_exactly_once(client, contacts_db, service_env, tmp_path):
    expected = messy_contacts.write(tmp_path / "people.csv", ROWS, seed=5)
    env = service_env("contacts", contacts_db)
    answer = await upload(client, tmp_path / "people.csv")
    assert answer.status_code == 202, answer.text
    seed = random.randrange(10_000)
    random_ = random.Random(seed)
    half_done = 0
    for _ in range(KILLS):
        await _kill_in_the_middle(contacts_db, env, random_.uniform(0.0, 0.5))
        rows = (await client.get(f"/v1/imports/{answer.json()['id']}")).json()["rows"]
        half_done += 0 < rows["created"] < expected.distinct
    async with jobs_running(contacts_db):
        done = await finished(client, answer.json()["id"])
    told = f"seed {seed}, killed {half_done} times with part of the rows merged"
    assert done["status"] == "completed", told
    assert done["rows"] == {
        "read": ROWS, "created": expected.distinct, "updated": 0, "unchanged": 0, "skipped": expected.duplicates,
        "rejected": sum(expected.rejects.values()),
    }, told  # fmt: skip
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from contacts") == expected.distinct, told
        assert await connection.fetchval("select count(*) from consent_records") == expected.distinct, told
        keys = Counter(row[0] for row in await connection.fetch("select key from outbox where topic = 'lead.created'"))
        assert (len(keys), max(keys.values())) == (expected.distinct, 1), told
