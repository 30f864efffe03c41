"""Process: periodic work on the ledger."""

import asyncio
import logging

from common import metrics
from common.db.pool import Database
from common.errors import Misconfigured
from common.jobs import Periodic, run_jobs
from common.sealing import Sealer
from common.web.idempotency import forget_old_keys

from delivery.dns.resolver import Resolver
from delivery.domain.domain_checks import Facts
from delivery.settings import Settings
from delivery.use_cases.domains import check_due
from delivery.use_cases.resealing import reseal as reseal_all
from delivery.use_cases.upkeep import (
    forget_returns,
    measure_ledger,
    measure_shaping,
    publish_progress,
    reap_mailers,
    sweep,
)

log = logging.getLogger(__name__)

PERIODICS = (
    Periodic("progress", 0.5, publish_progress),
    Periodic("sweep", 1.0, sweep),
    Periodic("reap_mailers", 2.0, reap_mailers),
    Periodic("returns", 3600.0, forget_returns),
    Periodic("idempotency_keys", 3600.0, forget_old_keys),
)


def periodics(settings: Settings) -> tuple[Periodic, ...]:
    """What is repeated. Raises Misconfigured."""
    resolver = Resolver(settings.dns_resolvers, settings.dns_timeout_s)
    facts = Facts(settings.spf_mechanisms(), settings.sending_addresses(), settings.bounce_domain())

    async def check_domains(db: Database) -> None:
        await check_due(db, resolver, facts)

    return (*PERIODICS, Periodic("check_domains", 30.0, check_domains, lease_s=300.0))


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run what is due until told to stop."""
    metrics.LEASES_EXPIRED.labels("mailer")
    metrics.LEDGER_MENDED.labels("delivery")
    repeated = periodics(settings)
    database = await Database.open(settings.require_url("worker"), name="delivery-jobs", max_size=4)
    try:
        await run_jobs(database, (), repeated, stop, service="delivery", measures=(measure_ledger, measure_shaping))
    finally:
        await database.close()


async def reseal(settings: Settings, _stop: asyncio.Event) -> None:
    """Seal everything by the first key of BARID_SEALING_KEYS, so that the others may go. Raises Misconfigured."""
    sealer = Sealer(settings.sealing_key_ring())
    database = await Database.open(settings.require_url("worker"), name="delivery-reseal", max_size=1)
    try:
        done, refused = await reseal_all(database, sealer)
    finally:
        await database.close()
    log.info("sealed anew", extra={"secrets": done})
    if refused:
        raise Misconfigured(f"BARID_SEALING_KEYS opens all but {refused} secrets: put the key back that sealed them")
