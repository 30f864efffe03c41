"""What partners send in their own words: checked, kept, mapped to an event and taken; and tried again after mending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson
from common import metrics
from common.db.pool import Connection, Database
from common.errors import BadRequest
from common.ids import new_id
from common.resealing import Place
from common.sealing import Sealer
from pydantic import TypeAdapter

from contacts.db import event_definitions, limits, outside_events, sources
from contacts.db.limits import Limit
from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.domain.source_mappings import Mapped, ShapeChanged, SourceMapping, addresses_in, apply
from contacts.domain.source_signatures import Forged, Scheme, verify
from contacts.errors import DeliveryUnknown, ForgedDelivery, InvalidEvents, TooManyParked, TooManyPosts
from contacts.use_cases.outside_events import Place as Where
from contacts.use_cases.outside_events import Told, take_events

Outcome = Literal["taken", "skipped", "failed"]
KEPT, KEPT_FOR = 1000, timedelta(days=30)
PER_MINUTE, MINUTE = 1200, timedelta(minutes=1)

for _outcome in ("taken", "skipped", "failed", "forged", "no_json", "limited"):
    metrics.SOURCE_DELIVERIES.labels(_outcome)  # shown from the start, so that the first one is an increase


def secret_context(workspace_id: UUID, source_id: UUID) -> str:
    """What a source's secret is sealed for."""
    return f"source/{workspace_id}/{source_id}"


PLACES = ((Place("sources", "secret", ("id",)), secret_context),)
_SCHEME: TypeAdapter[Scheme] = TypeAdapter(Scheme)


@dataclass(frozen=True, slots=True)
class Came:
    """A payload, and when it came."""

    id: UUID
    payload: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a payload. `reason`: where it is not what the mapping says."""

    id: UUID
    outcome: Outcome
    mapped: Mapped | None = None
    reason: Mapping[str, Any] | None = None


def seal(sealer: Sealer, workspace_id: UUID, source_id: UUID, scheme: Scheme) -> tuple[dict[str, Any], bytes]:
    """The scheme as it is stored and shown, and its secret, sealed."""
    shown = scheme.model_dump(mode="json", exclude={"secret"})
    return shown, sealer.seal(scheme.secret.get_secret_value().encode(), secret_context(workspace_id, source_id))


async def accept(
    db: Database,
    sealer: Sealer,
    addresses: Addresses,
    source: asyncpg.Record,
    headers: Mapping[str, str],
    body: bytes,
    network: str,
) -> Tried:
    """Take what came to a source. What is the partner's and JSON is kept, whatever the mapping makes of it.

    Raises TooManyPosts, ForgedDelivery, BadRequest: then nothing is kept.
    """
    workspace_id = source["workspace_id"]
    async with db.transaction(workspace_id) as tx:
        subject = addresses.keyed(f"source {source['id']} {network}")
        if await limits.used_up(tx, workspace_id, [Limit("source", subject, PER_MINUTE, MINUTE)]) is not None:
            metrics.SOURCE_DELIVERIES.labels("limited").inc()
            raise TooManyPosts(retry_after_s=int(MINUTE.total_seconds()))
    secret = sealer.open(source["secret"], secret_context(workspace_id, source["id"])).decode()
    try:
        verify(_SCHEME.validate_python({**source["signature"], "secret": secret}), headers, body, datetime.now(UTC))
    except Forged as error:
        metrics.SOURCE_DELIVERIES.labels("forged").inc()
        raise ForgedDelivery from error
    try:
        payload = orjson.loads(body)
    except ValueError as error:
        metrics.SOURCE_DELIVERIES.labels("no_json").inc()
        raise BadRequest("The body is not JSON", mend="Send JSON in UTF-8") from error
    came = Came(new_id(), payload, datetime.now(UTC))
    async with db.transaction(workspace_id) as tx:
        mapping = SourceMapping.model_validate(source["mapping"])
        try:
            (tried,) = await take(tx, workspace_id, addresses, source["id"], mapping, [came])
        except TooManyParked as error:
            tried = Tried(came.id, "failed", reason={"where": "", "code": error.code, "detail": error.message})
        hashes = _hashes(addresses, payload)
        # What names somebody who was erased is not kept again.
        if not await outside_events.erased(tx, workspace_id, hashes):
            await sources.keep(tx, source, came.id, body, hashes, tried.outcome, tried.reason)
    metrics.SOURCE_DELIVERIES.labels(tried.outcome).inc()
    return tried


async def replay(
    tx: Connection, addresses: Addresses, source: asyncpg.Record, ids: Sequence[UUID] | None, most: int
) -> list[Tried]:
    """Try deliveries again by the mapping as it is now: named ones, or those that failed, tried longest ago first.

    Events that were taken before are the same events. Raises DeliveryUnknown, TooManyParked.
    """
    workspace_id = source["workspace_id"]
    rows = await sources.chosen(tx, workspace_id, source["id"], ids, most)
    if ids is not None and (missing := set(ids) - {row["id"] for row in rows}):
        raise DeliveryUnknown(delivery_ids=[str(one) for one in sorted(missing)[:20]])
    mapping = SourceMapping.model_validate(source["mapping"])
    tried = await take(tx, workspace_id, addresses, source["id"], mapping, [_came(row) for row in rows])
    for one in tried:
        metrics.SOURCE_DELIVERIES.labels(one.outcome).inc()
    await sources.tried(
        tx,
        workspace_id,
        source["mapping_version"],
        [one.id for one in tried],
        [one.outcome for one in tried],
        [one.reason for one in tried],
    )
    return tried


async def trial(
    tx: Connection, addresses: Addresses, source: asyncpg.Record, mapping: SourceMapping, came: Sequence[Came]
) -> list[Tried]:
    """What the mapping would make of payloads; nothing changes. Raises TooManyParked."""
    await tx.execute("savepoint trial")
    tried = await take(tx, source["workspace_id"], addresses, source["id"], mapping, came)
    await tx.execute("rollback to savepoint trial")
    return tried


async def latest(tx: Connection, source: asyncpg.Record, most: int) -> list[Came]:
    """What came last to a source."""
    rows = await sources.deliveries(tx, source["workspace_id"], source["id"], None, None, most)
    return [_came(row) for row in rows]


async def take(
    tx: Connection,
    workspace_id: UUID,
    addresses: Addresses,
    source_id: UUID,
    mapping: SourceMapping,
    came: Sequence[Came],
) -> list[Tried]:
    """Map payloads and take their events; what cannot be taken is left out, with the reason. Raises TooManyParked."""
    words = mapping.type.map
    names = sorted(set(words.values())) if words is not None else None
    defined = await event_definitions.definitions(tx, workspace_id, names)
    done: dict[UUID, Tried] = {}
    for given in came:
        try:
            mapped = apply(mapping, given.payload, given.at, defined)
        except ShapeChanged as error:
            reason = {"where": error.path, "code": error.code, "detail": error.detail}
            done[given.id] = Tried(given.id, "failed", reason=reason)
        else:
            done[given.id] = Tried(given.id, "taken" if mapped else "skipped", mapped)
    left = [one for one in done.values() if one.mapped is not None]
    while left:
        told = [_told(source_id, one.mapped, n) for n, one in enumerate(left) if one.mapped is not None]
        try:
            await take_events(tx, workspace_id, addresses, told)
            break
        except InvalidEvents as error:
            for wrong in error.errors:
                _, n, where = str(wrong["where"]).split("/", 2)
                one = left[int(n)]
                reason = {"where": f"event: {where}", "code": wrong["code"], "detail": wrong["detail"]}
                done[one.id] = Tried(one.id, "failed", one.mapped, reason)
            left = [one for one in left if done[one.id].outcome == "taken"]
    return list(done.values())


async def forget_deliveries(db: Database) -> None:
    """The periodic job: only the last deliveries of each source are kept."""
    async with db.transaction() as tx:
        await sources.forget_old(tx, KEPT_FOR, KEPT)


def _told(source_id: UUID, mapped: Mapped, n: int) -> Told:
    id_ = f"{source_id} {mapped.id}"
    return Told(id_, mapped.type, mapped.contact, mapped.occurred_at, mapped.properties, Where(f"/{n}"))


def _came(row: asyncpg.Record) -> Came:
    return Came(row["id"], orjson.loads(row["body"]), row["received_at"])


def _hashes(addresses: Addresses, payload: Any) -> list[bytes]:
    found = set()
    for text in addresses_in(payload):
        try:
            found.add(addresses.read(text).hash)
        except NotAnAddress:
            continue
    return sorted(found)
