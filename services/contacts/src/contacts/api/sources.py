"""`/v1/sources`: partners that tell events in their own words, at an address of their own."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import orjson
from common.errors import PreconditionFailed
from common.ids import new_id
from common.sealing import Sealer
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contacts.api.deps import ActingCaller, AddressReader
from contacts.api.event_bodies import Text
from contacts.api.public_pages import links
from contacts.db import sources
from contacts.domain.forms import public_key
from contacts.domain.source_mappings import SourceMapping
from contacts.domain.source_signatures import Scheme
from contacts.errors import DeliveryUnknown, SourceUnknown, TooManyParked, TooManySources
from contacts.use_cases import sources as use_cases
from contacts.use_cases.sources import Came, Outcome, Tried

router = service_router("/sources", "sources")

MOST_SOURCES = 100
MOST_AT_ONCE = 200  # a payload may have 256 KiB
_TRIED_AT_MOST = 20


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceCreate(_Body):
    """A new source: how its partner signs, and which part of an event is where in what it sends."""

    name: Text
    signature: Scheme
    mapping: SourceMapping


class SourcePatch(_Body):
    """What changes. A new signature comes with its secret."""

    name: Text | None = None
    signature: Scheme | None = None
    active: bool | None = None


class SourceOut(BaseModel):
    """A source. Its partner posts to `url`."""

    id: UUID
    name: str
    url: str
    signature: Annotated[dict[str, Any], Field(description="without its secret")]
    mapping: dict[str, Any]
    mapping_version: int
    active: bool
    revision: int
    created_at: datetime
    updated_at: datetime


class SourceMappingOut(BaseModel):
    """One version of a mapping."""

    version: int
    mapping: dict[str, Any]
    created_by: str
    created_at: datetime


class Reason(BaseModel):
    """Where a payload is not what the mapping says, or its event not what is defined."""

    where: str
    code: str
    detail: str


class SourceDelivery(BaseModel):
    """Something that came. `failed` can be replayed after mending; `skipped` is what the mapping leaves out."""

    id: UUID
    received_at: datetime
    outcome: Outcome
    reason: Reason | None
    mapping_version: int
    tried_at: datetime
    payload: Any


class MappedEvent(BaseModel):
    """An event as a mapping makes it."""

    id: str
    type: str
    contact: dict[str, str]
    occurred_at: datetime
    properties: dict[str, Any]


class SourceTrial(BaseModel):
    """What became, or would become, of a payload."""

    delivery_id: Annotated[UUID | None, Field(description="null for a payload given with the call")]
    outcome: Outcome
    reason: Reason | None
    event: MappedEvent | None


class SourceTrials(BaseModel):
    """One for each payload."""

    items: list[SourceTrial]


class SourceTestRequest(_Body):
    """A mapping to try; the stored one if none is given. On `payload`, or else on what came last."""

    mapping: SourceMapping | None = None
    payload: dict[str, Any] | list[Any] | None = None


class SourceReplayRequest(_Body):
    """Which deliveries to try again: named, or 200 of those that failed, first those that were tried longest ago."""

    delivery_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    failed: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> "SourceReplayRequest":
        if (self.delivery_ids is None) == (self.failed is None):
            raise ValueError("give one of delivery_ids and failed")
        return self


@router.post("", status_code=201, dependencies=[allow("sources:write")], responses=problems(TooManySources))
async def create_source(
    body: SourceCreate, tx: Tx, caller: Caller, actor: ActingCaller, request: Request, response: Response
) -> SourceOut:
    """Make an address for a partner."""
    if await sources.count(tx, caller.workspace_id) >= MOST_SOURCES:
        raise TooManySources(f"There are {MOST_SOURCES} sources", mend="Delete one that nobody uses")
    id_ = new_id()
    shown, secret = use_cases.seal(_sealer(request), caller.workspace_id, id_, body.signature)
    mapping = _document(body.mapping)
    row = await sources.insert(tx, caller.workspace_id, id_, body.name, shown, secret, mapping, actor.name)
    response.headers["Location"] = f"/v1/sources/{id_}"
    set_etag(response, row["revision"])
    return _out(request, row)


@router.get("", dependencies=[allow("sources:read")])
async def list_sources(tx: Tx, caller: Caller, paging: Paging, request: Request) -> Page[SourceOut]:
    """Newest first."""
    before = paging.after(UUID)
    rows = await sources.page(tx, caller.workspace_id, before[0] if before else None, paging.limit + 1)
    return page(rows, paging, lambda row: _out(request, row), lambda row: (row["id"],))


@router.get("/{source_id}", dependencies=[allow("sources:read")], responses=problems(SourceUnknown))
async def get_source(source_id: UUID, tx: Tx, caller: Caller, request: Request, response: Response) -> SourceOut:
    """One source."""
    row = await _source(tx, caller.workspace_id, source_id)
    set_etag(response, row["revision"])
    return _out(request, row)


@router.patch(
    "/{source_id}", dependencies=[allow("sources:write")], responses=problems(SourceUnknown, PreconditionFailed)
)
async def update_source(
    source_id: UUID,
    body: SourcePatch,
    tx: Tx,
    caller: Caller,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> SourceOut:
    """Rename it, let its partner sign otherwise, or close its address for a while."""
    row = await _source(tx, caller.workspace_id, source_id, lock=True)
    require_match(if_match, row["revision"])
    shown, secret = row["signature"], row["secret"]
    if body.signature is not None:
        shown, secret = use_cases.seal(_sealer(request), caller.workspace_id, source_id, body.signature)
    active = row["active"] if body.active is None else body.active
    row = await sources.change(tx, row, body.name or row["name"], shown, secret, active=active)
    set_etag(response, row["revision"])
    return _out(request, row)


@router.put(
    "/{source_id}/mapping", dependencies=[allow("sources:write")], responses=problems(SourceUnknown, PreconditionFailed)
)
async def put_source_mapping(
    source_id: UUID,
    body: SourceMapping,
    tx: Tx,
    caller: Caller,
    actor: ActingCaller,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> SourceOut:
    """The next version of the mapping. What failed by the last one can be replayed."""
    row = await _source(tx, caller.workspace_id, source_id, lock=True)
    require_match(if_match, row["revision"])
    row = await sources.put_mapping(tx, row, _document(body), actor.name)
    set_etag(response, row["revision"])
    return _out(request, row)


@router.get("/{source_id}/mappings", dependencies=[allow("sources:read")], responses=problems(SourceUnknown))
async def list_source_mappings(source_id: UUID, tx: Tx, caller: Caller, paging: Paging) -> Page[SourceMappingOut]:
    """Every version, the newest first."""
    await _source(tx, caller.workspace_id, source_id)
    before = paging.after(int)
    last = None if before is None or before[0] is None else max(0, min(before[0], 2**31 - 1))
    rows = await sources.mappings(tx, caller.workspace_id, source_id, last, paging.limit + 1)
    return page(rows, paging, lambda row: SourceMappingOut.model_validate(dict(row)), lambda row: (row["version"],))


@router.delete(
    "/{source_id}", status_code=204, dependencies=[allow("sources:write")], responses=problems(SourceUnknown)
)
async def delete_source(source_id: UUID, tx: Tx, caller: Caller) -> None:
    """Close the address and forget what came to it. The events that were made of it stay."""
    await _source(tx, caller.workspace_id, source_id, lock=True)
    await sources.delete(tx, caller.workspace_id, source_id)


@router.get("/{source_id}/deliveries", dependencies=[allow("sources:write")], responses=problems(SourceUnknown))
async def list_source_deliveries(
    source_id: UUID, tx: Tx, caller: Caller, paging: Paging, outcome: Outcome | None = None
) -> Page[SourceDelivery]:
    """What came, the newest first: the last 1,000 of 30 days."""
    await _source(tx, caller.workspace_id, source_id)
    before = paging.after(UUID)
    rows = await sources.deliveries(
        tx, caller.workspace_id, source_id, before[0] if before else None, outcome, paging.limit + 1
    )
    return page(rows, paging, _delivery, lambda row: (row["id"],))


@router.post(
    "/{source_id}/test", dependencies=[allow("sources:write")], responses=problems(SourceUnknown, TooManyParked)
)
async def test_source_mapping(
    source_id: UUID, body: SourceTestRequest, tx: Tx, caller: Caller, addresses: AddressReader
) -> SourceTrials:
    """What a mapping would make of payloads. Nothing changes."""
    row = await _source(tx, caller.workspace_id, source_id)
    mapping = body.mapping or SourceMapping.model_validate(row["mapping"])
    if body.payload is not None:
        given = Came(new_id(), body.payload, datetime.now(UTC))
        tried = await use_cases.trial(tx, addresses, row, mapping, [given])
        return SourceTrials(items=[_trial(one, None) for one in tried])
    came = await use_cases.latest(tx, row, _TRIED_AT_MOST)
    tried = await use_cases.trial(tx, addresses, row, mapping, came)
    return SourceTrials(items=[_trial(one, one.id) for one in tried])


@router.post(
    "/{source_id}/replay",
    dependencies=[allow("sources:write")],
    responses=problems(SourceUnknown, DeliveryUnknown, TooManyParked),
)
async def replay_source_deliveries(
    source_id: UUID, body: SourceReplayRequest, tx: Tx, caller: Caller, addresses: AddressReader
) -> SourceTrials:
    """Try deliveries again by the mapping as it is now. An event that was taken before is not taken twice."""
    row = await _source(tx, caller.workspace_id, source_id, lock=True)
    tried = await use_cases.replay(tx, addresses, row, body.delivery_ids, MOST_AT_ONCE)
    return SourceTrials(items=[_trial(one, one.id) for one in tried])


async def _source(tx: Tx, workspace_id: UUID, source_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    row = await sources.get(tx, workspace_id, source_id, lock=lock)
    if row is None:
        raise SourceUnknown(source_id=str(source_id))
    return row


def _sealer(request: Request) -> Sealer:
    sealer: Sealer = request.app.state.sealer
    return sealer


def _document(mapping: SourceMapping) -> dict[str, Any]:
    return mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _out(request: Request, row: asyncpg.Record) -> SourceOut:
    url = f"{links(request).public_url}/in/{public_key(row['workspace_id'], row['id'])}"
    return SourceOut.model_validate({**dict(row), "url": url})


def _delivery(row: asyncpg.Record) -> SourceDelivery:
    return SourceDelivery.model_validate({**dict(row), "payload": orjson.loads(row["body"])})


def _trial(one: Tried, delivery_id: UUID | None) -> SourceTrial:
    event = None
    if one.mapped is not None:
        kind, value = one.mapped.contact
        event = MappedEvent(
            id=one.mapped.id,
            type=one.mapped.type,
            contact={kind: value},
            occurred_at=one.mapped.occurred_at,
            properties=dict(one.mapped.properties),
        )
    reason = Reason.model_validate(one.reason) if one.reason else None
    return SourceTrial(delivery_id=delivery_id, outcome=one.outcome, reason=reason, event=event)
