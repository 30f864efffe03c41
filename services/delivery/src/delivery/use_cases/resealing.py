"""After BARID_SEALING_KEYS got a new first key: everything sealed anew, so that the old one may go."""

import logging
from collections.abc import Callable
from typing import Any

from common.db.pool import Database

from delivery.db import sealed
from delivery.db.sealed import Place
from delivery.domain.sealing import CannotOpen, Sealer
from delivery.use_cases import domains, provider_events, ways

log = logging.getLogger(__name__)

PLACES: tuple[tuple[Place, Callable[..., str]], ...] = (
    (sealed.DKIM_KEYS, domains.context),
    (sealed.ROUTES, ways.password_context),
    (sealed.ENDPOINTS, provider_events.secret_context),
)


async def reseal(db: Database, sealer: Sealer) -> tuple[int, int]:
    """Seal by the current key what another one sealed, a row a transaction: (how many were, how many do not open)."""
    done = refused = 0
    for place, context in PLACES:
        async with db.transaction() as tx:
            keys = await sealed.not_begun_by(tx, place, sealer.header)
        for key in keys:
            try:
                done += await _one(db, sealer, place, key, context(*key))
            except CannotOpen as error:
                refused += 1
                about = {"table": place.table, "workspace_id": str(key[0]), "why": str(error)}
                log.warning("a secret does not open", extra=about)
    return done, refused


async def _one(db: Database, sealer: Sealer, place: Place, key: Any, context: str) -> bool:
    async with db.transaction() as tx:
        secret = await sealed.lock(tx, place, key)
        if secret is None:
            return False
        await sealed.replace(tx, place, key, sealer.seal(sealer.open(secret, context), context))
    return True
