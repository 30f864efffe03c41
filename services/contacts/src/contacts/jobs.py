"""Process: imports and other long work of contacts."""

import asyncio

from common.db.pool import Database
from common.jobs import JobKind, Periodic, run_jobs
from common.web.idempotency import forget_old_keys

from contacts.settings import Settings
from contacts.use_cases.attributes import INDEX_JOB, run_index_job
from contacts.use_cases.audiences import FREEZE_AUDIENCE
from contacts.use_cases.import_job import fail_import, run_import
from contacts.use_cases.imports import IMPORT_JOB
from contacts.use_cases.suppressions import lift_expired

KINDS = (
    JobKind(IMPORT_JOB, run_import, lease_s=20, on_failed=fail_import),
    JobKind(INDEX_JOB, run_index_job, lease_s=20),
    FREEZE_AUDIENCE,
)
PERIODICS = (
    Periodic("lift_expired_suppressions", 60.0, lift_expired),
    Periodic("idempotency_keys", 3600.0, forget_old_keys),
)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until told to stop."""
    database = await Database.open(settings.require_url("worker"), name="contacts-jobs", statement_timeout_s=300)
    try:
        await run_jobs(database, KINDS, PERIODICS, stop)
    finally:
        await database.close()
