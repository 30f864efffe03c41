"""Every place of delivery's database that holds something sealed, and sealing it anew."""

from collections.abc import Callable

from common import resealing
from common.db.pool import Database
from common.resealing import Place
from common.sealing import Sealer

from delivery.use_cases import domains, provider_events, ways

PLACES: tuple[tuple[Place, Callable[..., str]], ...] = (
    (Place("dkim_keys", "private_key", ("domain_id", "selector")), domains.context),
    (Place("routes", "password", ("id",)), ways.password_context),
    (Place("provider_endpoints", "secret", ("id",)), provider_events.secret_context),
)


async def reseal(db: Database, sealer: Sealer) -> tuple[int, int]:
    """Seal all by the current key: (how many were, how many do not open)."""
    return await resealing.reseal(db, sealer, PLACES)
