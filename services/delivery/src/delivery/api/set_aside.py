"""/v1/bounces/set-aside: mails that came to this workspace and could not be read, stored or sent on.

Only those that provably came to it: by an address that it signed, or in answer to its mail. What strangers sent to
nobody is no workspace's to read; the operator finds it in the table.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import Request, Response
from pydantic import BaseModel, Field

from delivery.api.bounces import MAIL, Accepted, accepted, moment
from delivery.db import set_aside
from delivery.domain.mail_preview import preview
from delivery.errors import BounceTooLarge, BounceTooManyParts, SetAsideNotFound, StillUnreadable
from delivery.use_cases.set_aside import judge_again

router = service_router("/bounces/set-aside", "bounces")
Why = Literal["unreadable", "not_storable", "bounce_too_many_parts", "bounce_too_large", "not_forwarded", "unknown"]


class SetAside(BaseModel):
    """A mail, kept as it came for a week. `author`, `subject` and `beginning` are plain text, cut short."""

    id: UUID
    at: datetime
    why: Why = Field(description="not_forwarded: an answer that the sender's Reply-To refused")
    source: str = Field(description="how it came: lmtp or inbox; forward: it was to be sent on")
    recipients: list[str] = Field(description="whom it was delivered to, or was to go to")
    size: int = Field(description="bytes")
    author: str
    subject: str
    beginning: list[str] = Field(description="the first lines of its body, as they came")


class _Mail(Response):
    media_type = MAIL


@router.get("", dependencies=[allow("bounces:read")])
async def list_set_aside(tx: Tx, caller: Caller, paging: Paging, why: Why | None = None) -> Page[SetAside]:
    """Mails that were set aside, the newest first."""
    after = paging.after(moment, UUID)
    place = (after[0], after[1]) if after else None
    found = await set_aside.page(tx, caller.workspace_id, place, paging.limit + 1, why)
    return page(found, paging, _listed, lambda row: (row["at"], row["id"]))


@router.get(
    "/{set_aside_id}/mail",
    dependencies=[allow("bounces:write")],
    response_class=_Mail,
    responses=problems(SetAsideNotFound),
)
async def get_set_aside_mail(set_aside_id: UUID, tx: Tx, caller: Caller) -> _Mail:
    """The mail as it came. It may be hostile: open it in nothing that runs what is in it."""
    row = await set_aside.get(tx, caller.workspace_id, set_aside_id)
    if row is None:
        raise SetAsideNotFound(set_aside_id=str(set_aside_id))
    headers = {"Content-Disposition": f'attachment; filename="{set_aside_id}.eml"', "X-Content-Type-Options": "nosniff"}
    return _Mail(row["mail"], headers=headers)


@router.post(
    "/{set_aside_id}/retry",
    status_code=202,
    dependencies=[allow("bounces:write")],
    responses=problems(SetAsideNotFound, BounceTooLarge, BounceTooManyParts, StillUnreadable),
)
@own_transaction
async def retry_set_aside(set_aside_id: UUID, request: Request, db: Db, caller: Caller) -> Accepted:
    """Judge it again, as if it came now, or send an answer on again; then it is set aside no more."""
    return accepted(await judge_again(db, request.app.state.matcher, caller.workspace_id, set_aside_id))


@router.delete(
    "/{set_aside_id}", status_code=204, dependencies=[allow("bounces:write")], responses=problems(SetAsideNotFound)
)
async def delete_set_aside(set_aside_id: UUID, tx: Tx, caller: Caller) -> None:
    """Throw it away."""
    if not await set_aside.discard(tx, caller.workspace_id, set_aside_id):
        raise SetAsideNotFound(set_aside_id=str(set_aside_id))


def _listed(row: asyncpg.Record) -> SetAside:
    shown = preview(row["head"])
    return SetAside(
        id=row["id"],
        at=row["at"],
        why=row["why"],
        source=row["source"],
        recipients=row["envelope"],
        size=row["size"],
        author=shown.author,
        subject=shown.subject,
        beginning=list(shown.lines),
    )
