"""/v1/domains: where mail comes from, what to publish for it, and whether receivers find it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from delivery.db import domains as rows
from delivery.domain.dkim_records import Algorithm, zone_line
from delivery.domain.domain_checks import CheckName, KeyState, Status
from delivery.errors import DomainExists, DomainNotFound, DomainUnfit, RotationUnderWay
from delivery.use_cases import domains

router = service_router("/domains", "domains")
_FIRST = UUID(int=0)


class DomainCreate(BaseModel):
    """A new sending domain."""

    model_config = ConfigDict(extra="forbid")

    domain: str = Field(min_length=1, max_length=260, description="such as news.example.com; Unicode is taken too")
    ed25519: bool = Field(False, description="a second key, RFC 8463; few receivers check such signatures")


class DnsRecordOut(BaseModel):
    """A record to publish. `zone_line` is the same as a line of a zone file, long texts cut as there."""

    type: str
    name: str
    value: str
    zone_line: str


class DomainCheckOut(BaseModel):
    """One thing looked at in the DNS. `subject`: the key's selector, or the sending address.

    `unknown`: the DNS did not answer. `publish` is what should stand there instead of what was `found`.
    """

    check: CheckName
    subject: str | None
    status: Status
    detail: str
    publish: list[DnsRecordOut]
    found: list[str]


class DomainKeyOut(BaseModel):
    """A DKIM key. Published: to be found in the DNS; active: signs; retired: signs no more."""

    selector: str
    algorithm: Algorithm
    state: KeyState
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None


class DomainOut(BaseModel):
    """A sending domain. `verified`: receivers find a key of this workspace, and mail is signed by it.

    `subdomains`: the signature stands for senders at subdomains too. `failing`: the checks that need somebody.
    """

    id: UUID
    domain: str
    verified: bool
    subdomains: bool
    failing: list[CheckName]
    keys: list[DomainKeyOut]
    checks: list[DomainCheckOut]
    created_at: datetime
    checked_at: datetime | None
    revision: int


@router.post("", status_code=201, dependencies=[allow("domains:write")], responses=problems(DomainUnfit, DomainExists))
async def create_domain(body: DomainCreate, tx: Tx, caller: Caller, request: Request) -> DomainOut:
    """Make a sending domain with keys of its own. Mail is signed once a check finds their records in the DNS."""
    state = request.app.state
    row = await domains.create(
        tx, state.sealer, state.sending_facts, caller.workspace_id, body.domain, ed25519=body.ed25519
    )
    return await _one(tx, row)


@router.get("", dependencies=[allow("domains:read")])
async def list_domains(tx: Tx, caller: Caller, paging: Paging) -> Page[DomainOut]:
    """The oldest first."""
    after = paging.after(UUID)
    found = await rows.page(tx, caller.workspace_id, after[0] if after else _FIRST, paging.limit + 1)
    keys = await rows.keys_of(tx, caller.workspace_id, [row["id"] for row in found])
    return page(found, paging, lambda row: _out(row, keys[row["id"]]), lambda row: (row["id"],))


@router.get("/{domain_id}", dependencies=[allow("domains:read")], responses=problems(DomainNotFound))
async def get_domain(domain_id: UUID, tx: Tx, caller: Caller) -> DomainOut:
    """One domain, as the last check found it."""
    return await _one(tx, await domains.require(tx, caller.workspace_id, domain_id))


@router.post("/{domain_id}/check", dependencies=[allow("domains:write")], responses=problems(DomainNotFound))
@own_transaction
async def check_domain(domain_id: UUID, db: Db, caller: Caller, request: Request) -> DomainOut:
    """Look at the DNS now; it is looked at by itself too, every few minutes to hours."""
    state = request.app.state
    row, keys = await domains.check(db, state.resolver, state.sending_facts, caller.workspace_id, domain_id)
    return _out(row, keys)


@router.post(
    "/{domain_id}/rotate", dependencies=[allow("domains:write")], responses=problems(DomainNotFound, RotationUnderWay)
)
async def rotate_domain(domain_id: UUID, tx: Tx, caller: Caller, request: Request) -> DomainOut:
    """Make new keys. Those before sign until a check finds the new ones; then leave their records for a week."""
    state = request.app.state
    row = await domains.rotate(tx, state.sealer, state.sending_facts, caller.workspace_id, domain_id)
    return await _one(tx, row)


@router.delete(
    "/{domain_id}", status_code=204, dependencies=[allow("domains:write")], responses=problems(DomainNotFound)
)
async def delete_domain(domain_id: UUID, tx: Tx, caller: Caller) -> None:
    """Sign for it no more. Leave its records for a week: mail that was signed is on its way."""
    await domains.delete(tx, caller.workspace_id, domain_id)


async def _one(tx: Tx, row: asyncpg.Record) -> DomainOut:
    return _out(row, (await rows.keys_of(tx, row["workspace_id"], [row["id"]]))[row["id"]])


def _out(row: asyncpg.Record, keys: Sequence[asyncpg.Record]) -> DomainOut:
    return DomainOut(
        id=row["id"],
        domain=row["name"],
        verified=row["verified"],
        subdomains=row["subdomains"],
        failing=row["failing"],
        keys=[DomainKeyOut(**{name: key[name] for name in DomainKeyOut.model_fields}) for key in keys],
        checks=[DomainCheckOut(**{**one, "publish": list(map(_record, one["publish"]))}) for one in row["checks"]],
        created_at=row["created_at"],
        checked_at=row["checked_at"],
        revision=row["revision"],
    )


def _record(stored: dict[str, Any]) -> DnsRecordOut:
    return DnsRecordOut(**stored, zone_line=zone_line(stored["name"], stored["type"], stored["value"]))
