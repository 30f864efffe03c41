"""Sending domains: made with their keys, looked at in the DNS, their keys changed without a gap."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database
from common.ids import new_id
from common.sealing import Sealer

from delivery import events
from delivery.db import domains
from delivery.dns.resolver import Resolver
from delivery.domain import dkim_records
from delivery.domain.dkim_records import Algorithm
from delivery.domain.domain_checks import (
    BAD,
    KEEP_RETIRED,
    Answers,
    Check,
    Facts,
    Key,
    is_at_home,
    is_found,
    judged,
    relaxed,
    unchecked,
)
from delivery.domain.sending_domains import UnfitDomain, sending_domain
from delivery.errors import DomainExists, DomainNotFound, DomainUnfit, RotationUnderWay
from delivery.use_cases.domain_checks import look

AT_ONCE = 4
BATCH = 20
_SOUND, _NEW, _LATER = timedelta(hours=6), timedelta(minutes=10), timedelta(hours=1)
_NEW_FOR = timedelta(days=3)


def context(workspace_id: UUID, domain_id: UUID, selector: str) -> str:
    """What a private key is sealed for."""
    return f"dkim/{workspace_id}/{domain_id}/{selector}"


async def create(
    tx: Connection, sealer: Sealer, facts: Facts, workspace_id: UUID, text: str, *, ed25519: bool
) -> asyncpg.Record:
    """A domain with fresh keys. Raises DomainUnfit, DomainExists."""
    try:
        name = sending_domain(text)
    except UnfitDomain as error:
        raise DomainUnfit(str(error), why=error.why) from error
    domain_id = new_id()
    if await domains.add(tx, workspace_id, domain_id, name, []) is None:
        known = await domains.named(tx, workspace_id, name)
        raise DomainExists(f"The workspace has {name} already", domain_id=str(known))
    algorithms: list[Algorithm] = ["rsa-sha256", "ed25519-sha256"] if ed25519 else ["rsa-sha256"]
    await _add_keys(tx, sealer, workspace_id, domain_id, algorithms)
    row = await _with_records(tx, facts, workspace_id, domain_id)
    await events.domain_changed(tx, row)
    return row


async def rotate(tx: Connection, sealer: Sealer, facts: Facts, workspace_id: UUID, domain_id: UUID) -> asyncpg.Record:
    """New keys to publish, of the algorithms that sign now. Raises DomainNotFound, RotationUnderWay."""
    await require(tx, workspace_id, domain_id, lock=True)
    keys = (await domains.keys_of(tx, workspace_id, [domain_id]))[domain_id]
    waiting = [key["selector"] for key in keys if key["state"] == "published"]
    if waiting:
        raise RotationUnderWay(selectors=waiting)
    await _add_keys(tx, sealer, workspace_id, domain_id, [key["algorithm"] for key in keys if key["state"] == "active"])
    return await _with_records(tx, facts, workspace_id, domain_id)


async def delete(tx: Connection, workspace_id: UUID, domain_id: UUID) -> None:
    """Sign for it no more. Raises DomainNotFound."""
    row = await require(tx, workspace_id, domain_id, lock=True)
    await domains.delete(tx, workspace_id, domain_id)
    await events.domain_changed(tx, row, deleted=True)


async def check(
    db: Database, resolver: Resolver, facts: Facts, workspace_id: UUID, domain_id: UUID
) -> tuple[asyncpg.Record, list[asyncpg.Record]]:
    """Look at the DNS now; keys that receivers find sign from now on. Raises DomainNotFound.

    No transaction is open while the DNS is asked.
    """
    async with db.transaction(workspace_id, readonly=True) as tx:
        before = await require(tx, workspace_id, domain_id)
        keys = (await domains.keys_of(tx, workspace_id, [domain_id]))[domain_id]
    answers = await look(resolver, before["name"], [key["selector"] for key in keys], facts)
    async with db.transaction(workspace_id) as tx:
        row = await require(tx, workspace_id, domain_id, lock=True)
        keys = await _activate_found(tx, row, answers)
        stored = await _store(tx, row, keys, facts, answers)
        if stored["revision"] != row["revision"]:
            await events.domain_changed(tx, stored)
    return stored, keys


async def check_due(db: Database, resolver: Resolver, facts: Facts) -> None:
    """Look at the domains whose time has come, a few at once, and forget keys that nobody needs."""
    async with db.transaction() as tx:
        due = await domains.take_due(tx, BATCH)
        await domains.forget_retired(tx, datetime.now(UTC) - 4 * KEEP_RETIRED)
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(workspace_id: UUID, domain_id: UUID) -> None:
        async with at_once:
            try:
                await check(db, resolver, facts, workspace_id, domain_id)
            except DomainNotFound:
                return  # deleted meanwhile

    await asyncio.gather(*(one(*key) for key in due))


async def require(tx: Connection, workspace_id: UUID, domain_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """One domain. Raises DomainNotFound."""
    row = await domains.get(tx, workspace_id, domain_id, lock=lock)
    if row is None:
        raise DomainNotFound(domain_id=str(domain_id))
    return row


async def _add_keys(
    tx: Connection, sealer: Sealer, workspace_id: UUID, domain_id: UUID, algorithms: Sequence[Algorithm]
) -> None:
    made = []
    for algorithm in algorithms:
        private, public = await asyncio.to_thread(dkim_records.make_key, algorithm)
        selector = f"b{secrets.token_hex(4)}"
        sealed = sealer.seal(private, context(workspace_id, domain_id, selector))
        made.append((selector, str(algorithm), sealed, public))
    await domains.add_keys(tx, workspace_id, domain_id, made)


async def _with_records(tx: Connection, facts: Facts, workspace_id: UUID, domain_id: UUID) -> asyncpg.Record:
    """The domain after its keys changed: what was found stays, what is new is to be published."""
    row = await require(tx, workspace_id, domain_id)
    keys = (await domains.keys_of(tx, workspace_id, [domain_id]))[domain_id]
    found = {(one["check"], one["subject"]): one for one in row["checks"]}
    checks = [
        found.get((one.check, one.subject), asdict(one))
        for one in unchecked(row["name"], [_key(key) for key in keys], facts)
    ]
    await domains.set_checks(tx, workspace_id, domain_id, checks)
    return await require(tx, workspace_id, domain_id)


async def _activate_found(tx: Connection, row: asyncpg.Record, answers: Answers) -> list[asyncpg.Record]:
    """New keys that receivers find sign from now on, in the place of those before; all keys, as they are then."""
    workspace_id, domain_id = row["workspace_id"], row["id"]
    keys = (await domains.keys_of(tx, workspace_id, [domain_id]))[domain_id]
    new = [
        key for key in keys if key["state"] == "published" and is_found(_key(key), answers.dkim.get(key["selector"]))
    ]
    if not new:
        return keys
    await domains.activate(
        tx, workspace_id, domain_id, [key["selector"] for key in new], [key["algorithm"] for key in new]
    )
    return (await domains.keys_of(tx, workspace_id, [domain_id]))[domain_id]


async def _store(
    tx: Connection, row: asyncpg.Record, keys: Sequence[asyncpg.Record], facts: Facts, answers: Answers
) -> asyncpg.Record:
    """Keep what was found. Where the DNS did not answer, what was known before stands."""
    now = datetime.now(UTC)
    checks = judged(row["name"], [_key(key) for key in keys], facts, answers, now)
    status = {one.subject: one.status for one in checks if one.check == "dkim"}
    signing = [status[key["selector"]] for key in keys if key["state"] == "active"]
    verified = "ok" in signing or (row["verified"] and "unknown" in signing)
    failing = {one.check for one in checks if one.status in BAD and _matters(one, keys)}
    failing |= {one.check for one in checks if one.status == "unknown" and one.check in row["failing"]}
    subdomains = relaxed(row["name"], answers.dmarc)
    [path] = [one.status for one in checks if one.check == "return_path"]
    new = now - row["created_at"] < _NEW_FOR
    return await domains.store(
        tx,
        row["workspace_id"],
        row["id"],
        checks=[asdict(one) for one in checks],
        verified=verified,
        subdomains=row["subdomains"] if subdomains is None else subdomains,
        failing=sorted(failing),
        returns=(row["returns"] if path == "unknown" else path == "ok") and not is_at_home(row["name"], facts),
        again=_SOUND if verified and not failing else _NEW if new else _LATER,
    )


def _matters(check: Check, keys: Sequence[asyncpg.Record]) -> bool:
    """Whether mail suffers from it now: not from a key beside the one that signs."""
    active = {key["selector"] for key in keys if key["state"] == "active"}
    return check.check != "dkim" or not active or check.subject in active


def _key(row: asyncpg.Record) -> Key:
    return Key(row["selector"], row["algorithm"], row["public_key"], row["state"], row["retired_at"])
