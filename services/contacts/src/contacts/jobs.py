"""Process: imports and other long work of contacts. And `contacts republish`, which is run by hand."""

import asyncio

import structlog
from common.db.pool import Database
from common.errors import Misconfigured
from common.jobs import JobKind, Periodic, run_jobs
from common.resealing import reseal as seal_anew
from common.sealing import Sealer
from common.web.idempotency import forget_old_keys

from contacts.db.republish import What
from contacts.settings import Settings
from contacts.use_cases import searching
from contacts.use_cases.attributes import INDEX_JOB, REMOVE_JOB, run_index_job, run_remove_job
from contacts.use_cases.audiences import FREEZE_AUDIENCE
from contacts.use_cases.bulk import BULK_CHANGE
from contacts.use_cases.confirmations import forget_old
from contacts.use_cases.consents import end_expired, end_pauses
from contacts.use_cases.data_quality import reckon_everywhere
from contacts.use_cases.duplicates import find_everywhere
from contacts.use_cases.enrichment import enrich_everywhere
from contacts.use_cases.import_job import fail_import, run_import
from contacts.use_cases.import_undo import UNDO_JOB, fail_undo, forget_changes, run_undo
from contacts.use_cases.imports import IMPORT_JOB, TRIAL_JOB
from contacts.use_cases.live_segments import BUILD_SEGMENT, follow, note_sizes, sweep
from contacts.use_cases.occasions import close_over
from contacts.use_cases.parked_events import join_parked, tend_parked
from contacts.use_cases.personal_data import forget_fetched
from contacts.use_cases.republish import republish as tell_again
from contacts.use_cases.retention import enforce_everywhere
from contacts.use_cases.segment_snapshots import FREEZE_SNAPSHOT
from contacts.use_cases.sources import PLACES, forget_deliveries
from contacts.use_cases.suppressions import lift_expired
from contacts.use_cases.visits import forget_old as forget_visitors

KINDS = (
    JobKind(IMPORT_JOB, run_import, lease_s=20, on_failed=fail_import),
    JobKind(TRIAL_JOB, run_import, lease_s=20, on_failed=fail_import),
    JobKind(UNDO_JOB, run_undo, lease_s=20, on_failed=fail_undo),
    JobKind(INDEX_JOB, run_index_job, lease_s=20),
    JobKind(REMOVE_JOB, run_remove_job, lease_s=20, max_attempts=20),
    FREEZE_AUDIENCE,
    BUILD_SEGMENT,
    BULK_CHANGE,
    FREEZE_SNAPSHOT,
)
PERIODICS = (
    Periodic("lift_expired_suppressions", 60.0, lift_expired),
    Periodic("duplicates", 6 * 3600.0, find_everywhere),
    Periodic("enrichment", 60.0, enrich_everywhere, lease_s=20),
    Periodic("data_quality", 3600.0, reckon_everywhere, lease_s=20),
    Periodic("retention", 3600.0, enforce_everywhere, lease_s=20),
    Periodic("segment_members", 0.1, follow, lease_s=5),
    Periodic("search", 0.5, searching.follow, lease_s=5),
    Periodic("search_words", 24 * 3600.0, searching.forget_unused),
    Periodic("segment_clock", 60.0, sweep),
    Periodic("segment_sizes", 3600.0, note_sizes),
    Periodic("parked_events", 1.0, join_parked),
    Periodic("parked_events_tended", 30.0, tend_parked),
    Periodic("occasions", 60.0, close_over),
    Periodic("source_deliveries", 60.0, forget_deliveries),
    Periodic("visitors", 3600.0, forget_visitors),
    Periodic("personal_data", 3600.0, forget_fetched),
    Periodic("import_changes", 3600.0, forget_changes),
    Periodic("end_pauses", 60.0, end_pauses),
    Periodic("end_expired_consents", 60.0, end_expired),
    Periodic("public_limits", 3600.0, forget_old),
    Periodic("idempotency_keys", 3600.0, forget_old_keys),
)

_log = structlog.get_logger("barid.contacts")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until told to stop."""
    database = await Database.open(settings.require_url("worker"), name="contacts-jobs", statement_timeout_s=300)
    try:
        await run_jobs(database, KINDS, PERIODICS, stop, service="contacts")
    finally:
        await database.close()


async def reseal(settings: Settings, _stop: asyncio.Event) -> None:
    """Seal everything by the first key of BARID_SEALING_KEYS, so that the others may go. Raises Misconfigured."""
    sealer = Sealer(settings.sealing_key_ring())
    database = await Database.open(settings.require_url("worker"), name="contacts-reseal", max_size=1)
    try:
        done, refused = await seal_anew(database, sealer, PLACES)
    finally:
        await database.close()
    _log.info("sealed anew", secrets=done)
    if refused:
        raise Misconfigured(f"BARID_SEALING_KEYS opens all but {refused} secrets: put the key back that sealed them")


async def republish(settings: Settings, stop: asyncio.Event, what: What) -> None:
    """Tell again what others keep of contacts, for a service that lost it."""
    database = await Database.open(settings.require_url("worker"), name="contacts-republish", max_size=1)
    try:
        told, whole = await tell_again(database, what, stop)
        _log.info("republished" if whole else "stopped before the end; run it again", what=what, events=told)
    finally:
        await database.close()
