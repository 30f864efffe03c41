"""Signing in threads: the arithmetic of a signature runs outside the interpreter's lock, beside the event loop."""

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from common import metrics
from common.db.pool import TRANSIENT, Database
from common.sealing import CannotOpen, Sealer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from delivery.db import domains
from delivery.domain.dkim import SigningKey, signatures
from delivery.domain.domain_checks import return_path
from delivery.domain.sending_domains import lineage
from delivery.use_cases.domains import context

log = logging.getLogger(__name__)

# How long a mailer may sign by a key that was retired meanwhile; its record is kept for a week.
FRESH_S = 15.0
KEPT = 1024
Keys = Sequence[SigningKey]


@dataclass(slots=True)
class _Kept:
    fresh_until: float
    sealed: tuple[bytes, ...]
    keys: Keys
    return_domain: str | None = None


class DomainKeys:
    """The workspaces' own keys, from the database: of the sender's domain, or of the nearest one above it."""

    def __init__(self, db: Database, sealer: Sealer, fresh_s: float = FRESH_S) -> None:
        self._db = db
        self._sealer = sealer
        self._fresh_s = fresh_s
        self._kept: OrderedDict[tuple[UUID, str], _Kept] = OrderedDict()
        self._loading = asyncio.Lock()

    async def of(self, workspace_id: UUID, domain: str) -> Keys:
        """The keys that sign for a sender's domain; none where the workspace has none. RSA first."""
        return (await self._of(workspace_id, domain)).keys

    async def return_domain(self, workspace_id: UUID, domain: str) -> str | None:
        """Where bounces go so that SPF is aligned with the sender's domain (RFC 9989 §4.4.2), if that leads here."""
        return (await self._of(workspace_id, domain)).return_domain

    async def _of(self, workspace_id: UUID, domain: str) -> _Kept:
        kept = self._kept.get((workspace_id, domain))
        if kept is None:
            async with self._loading:
                kept = self._kept.get((workspace_id, domain)) or await self._load(workspace_id, domain, None)
        elif kept.fresh_until < time.monotonic():
            kept.fresh_until = time.monotonic() + self._fresh_s  # the others go on with what is here
            try:
                kept = await self._load(workspace_id, domain, kept)
            except TRANSIENT as error:
                log.warning("cannot look for new DKIM keys", extra={"error": type(error).__name__})
        return kept

    async def _load(self, workspace_id: UUID, domain: str, before: _Kept | None) -> _Kept:
        async with self._db.connection() as connection:
            rows = await domains.signing_keys(connection, workspace_id, lineage(domain))
            named = await domains.returning(connection, workspace_id, lineage(domain))
        sealed = tuple(row["private_key"] for row in rows)
        back = return_path(named) if named else None
        if before is not None and before.sealed == sealed:
            before.return_domain = back
            return before
        keys = []
        for row in rows:
            try:
                keys.append(
                    SigningKey(
                        row["name"],
                        row["selector"],
                        _private(
                            self._sealer.open(
                                row["private_key"], context(workspace_id, row["domain_id"], row["selector"])
                            )
                        ),
                    )
                )
            except CannotOpen as error:
                metrics.DKIM_FAILURES.labels("delivery").inc()
                log.exception("a DKIM key cannot be used", extra={"selector": row["selector"], "why": str(error)})
        made = self._kept[workspace_id, domain] = _Kept(time.monotonic() + self._fresh_s, sealed, keys, back)
        self._kept.move_to_end((workspace_id, domain))
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made


class Signer:
    """Signs mail with the keys of its sender's domain: the workspace's own, else the installation's."""

    def __init__(self, installation: Mapping[str, Keys], own: DomainKeys | None = None) -> None:
        self._installation = installation
        self._own = own
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="dkim")
        self._missed: set[tuple[UUID, str]] = set()

    async def return_domain(self, workspace_id: UUID, domain: str) -> str | None:
        """Where bounces of a sender's domain go, where it has a place of its own for them."""
        return await self._own.return_domain(workspace_id, domain) if self._own is not None else None

    async def sign(self, workspace_id: UUID, domain: str, message: bytes, at: datetime) -> bytes:
        """The message with its signatures before it; as it is where nobody has a key for the domain."""
        keys = await self._own.of(workspace_id, domain) if self._own is not None else ()
        keys = keys or self._installation.get(domain, ())
        if not keys:
            if (workspace_id, domain) not in self._missed and len(self._missed) < KEPT:
                self._missed.add((workspace_id, domain))
                about = {"domain": domain, "workspace_id": str(workspace_id)}
                log.warning("mail goes out without DKIM: no key for the sender's domain", extra=about)
            return message
        made = await asyncio.get_running_loop().run_in_executor(self._threads, signatures, keys, message, at)
        return made + message


def _private(der: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    # Made and sealed here: what takes long to check was checked when it was made.
    key = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    return cast("RSAPrivateKey | Ed25519PrivateKey", key)
