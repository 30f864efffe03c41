"""Mail that comes in without a caller: taken in, or set aside with the reason; lost only if nobody could store it."""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common import metrics
from common.db.pool import TRANSIENT, Database
from common.ids import new_id

from delivery.db import set_aside
from delivery.domain.claims import Matcher
from delivery.domain.returns import Returned, read_returns
from delivery.errors import BounceTooLarge, BounceTooManyParts
from delivery.use_cases.returns import take_returns

log = logging.getLogger(__name__)

AGAIN = 100
UNKNOWN = "unknown"  # nobody's: no message of ours was named
NOT_FORWARDED = "not_forwarded"  # an answer that its Reply-To refused
KEPT_OF_UNKNOWN = 64 * 1024
_STAYS = frozenset({"inbox"})  # where it is still there for who looks for it, and may be a person's own mail
_NOT_AGAIN = frozenset({UNKNOWN, NOT_FORWARDED})


class Intake:
    """Takes mails in. `take` returns once everything a mail means, or the mail itself, is committed."""

    def __init__(self, db: Database, matcher: Matcher) -> None:
        self._db = db
        self._matcher = matcher

    async def take(self, mail: bytes, envelope: Sequence[str], source: str) -> None:
        """Raises only what the database raises while it is away: then nothing is stored, and nothing answered."""
        envelope = [_storable(address) for address in envelope]
        why = await self._try(mail, envelope, source)
        if why is None:
            return
        if why != UNKNOWN or source not in _STAYS:
            kept = mail if why != UNKNOWN else mail[:KEPT_OF_UNKNOWN]
            tail = next((claim.tail for address in envelope for claim in self._matcher.by_address(address)), None)
            async with self._db.transaction() as tx:
                await set_aside.keep(tx, new_id(), source, why, envelope, kept, tail=tail)
        metrics.SET_ASIDE.labels(source, why).inc()

    async def take_again(self) -> None:
        """Try what was set aside because it could not be read or stored: this may be a version that can."""
        after = UUID(int=0)
        try:
            while rows := await self._aside(after):
                for row in rows:
                    after = row["id"]
                    if await self._try(row["mail"], row["envelope"], row["source"]) is None:
                        async with self._db.transaction() as tx:
                            await set_aside.forget(tx, after)
        except TRANSIENT as error:
            log.warning("what was set aside is tried again at the next start", extra={"error": type(error).__name__})

    async def _aside(self, after: UUID) -> list[asyncpg.Record]:
        async with self._db.connection() as connection:
            return await set_aside.to_try(connection, after, AGAIN, sorted(_NOT_AGAIN))

    async def _try(self, mail: bytes, envelope: Sequence[str], source: str) -> str | None:
        """Why a mail is to be set aside; None once it is taken in."""
        try:
            found = await asyncio.to_thread(read_returns, mail, envelope, self._matcher, source)
        except (BounceTooLarge, BounceTooManyParts) as error:
            return error.code
        except Exception:
            log.exception("a mail cannot be read", extra={"source": source, "bytes": len(mail)})
            return "unreadable"
        return await self._store(found, source)

    async def _store(self, found: Sequence[Returned], source: str) -> str | None:
        try:
            taken = await take_returns(self._db, found)
        except TRANSIENT:
            raise
        except Exception:
            log.exception("what came back cannot be stored", extra={"source": source})
            return "not_storable"
        return None if taken and all(one.message_id for one in taken) else UNKNOWN


def _storable(address: str) -> str:
    """The address as PostgreSQL can keep it: strangers write the envelope too."""
    return address.replace("\x00", "").encode("utf-8", "replace").decode()[:1000]
