"""`/v1/data-quality`: how complete, how unique and how fresh a workspace's contacts are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.route import Caller, Tx, allow, service_router
from pydantic import BaseModel, Field

from contacts.api.deps import moment
from contacts.db import data_quality
from contacts.db.data_quality import DECAY_DAYS, FIELDS, FLAGS

router = service_router("/data-quality", "contacts")


class Part(BaseModel):
    """Some of the contacts."""

    count: int
    share: float = Field(description="of all contacts; 0 where there is none")


class Completeness(Part):
    """How many contacts have a field."""

    field: str
    concluded: int = Field(description="how many of the values nobody gave")


class Decay(BaseModel):
    """Whom mail no longer reaches."""

    days: int = Field(description="how far back `bounced` and `asleep` look")
    bounced: Part = Field(description="had a mail returned")
    asleep: Part = Field(description="were sent mail, and none was opened, clicked or answered by a person")
    unreachable: Part = Field(description="their address or its domain is suppressed")


class Addresses(BaseModel):
    """What the addresses say of themselves."""

    role: Part
    disposable: Part
    freemail: Part


class DataQuality(BaseModel):
    """The contacts as they were at one moment; of a day the last one is kept."""

    at: datetime | None = Field(description="null: not reckoned yet, which is done every hour")
    contacts: int
    completeness: list[Completeness]
    duplicates_waiting: int = Field(description="suggested pairs that nobody has decided")
    decay: Decay
    addresses: Addresses


@router.get("", dependencies=[allow("contacts:read")])
async def get_data_quality(tx: Tx, caller: Caller) -> DataQuality:
    """The latest state, at most an hour old."""
    return _out(await data_quality.latest(tx, caller.workspace_id))


@router.get("/history", dependencies=[allow("contacts:read")])
async def list_data_quality(tx: Tx, caller: Caller, paging: Paging) -> Page[DataQuality]:
    """One state a day, the newest first, of the last 800 days."""
    after = paging.after(moment)
    rows = await data_quality.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["at"],))


def _out(row: asyncpg.Record | None) -> DataQuality:
    total: int = row["contacts"] if row else 0
    measures: Mapping[str, Any] = row["measures"] if row else {}

    def part(count: int) -> dict[str, Any]:
        return {"count": count, "share": round(count / total, 4) if total else 0.0}

    def among(name: str, which: str) -> int:
        found: int = measures.get(name, {}).get(which, 0)
        return found

    return DataQuality(
        at=row["at"] if row else None,
        contacts=total,
        completeness=[
            Completeness(field=name, concluded=among("concluded", name), **part(among("filled", name)))
            for name in FIELDS
        ],
        duplicates_waiting=measures.get("duplicates", 0),
        decay=Decay(
            days=DECAY_DAYS,
            **{name: Part(**part(measures.get(name, 0))) for name in ("bounced", "asleep", "unreachable")},
        ),
        addresses=Addresses(**{name: Part(**part(among("flags", name))) for name in FLAGS}),
    )
