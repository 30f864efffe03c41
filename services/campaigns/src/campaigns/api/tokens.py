"""Access tokens: made, listed without their secret, revoked."""

from uuid import UUID

from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.roles import scopes_of
from common.web.route import Caller, Db, Tx, allow, own_transaction, service_router
from fastapi import Request

from campaigns.api.keys import signing_key
from campaigns.api.schemas import TokenCreate, TokenCreated, TokenOut
from campaigns.db import members
from campaigns.errors import BeyondOwnRights, MemberNotFound, SigningUnavailable, TokenNotFound
from campaigns.use_cases import access

router = service_router("/tokens", "tokens")


@router.post(
    "",
    status_code=201,
    dependencies=[allow("tokens:write")],
    responses=problems(MemberNotFound, BeyondOwnRights, SigningUnavailable),
)
@own_transaction
async def create_token(body: TokenCreate, db: Db, caller: Caller, request: Request) -> TokenCreated:
    """Make a token. It is shown once, and never stored, so an Idempotency-Key does nothing here."""
    key = signing_key(request)
    async with db.transaction(caller.workspace_id) as tx:
        member = await access.require_member(tx, caller.workspace_id, body.member_id or caller.subject_id)
        access.require_rights(caller.scopes, member["role"], body.scopes)
        if body.scopes is not None:
            access.require_rights(scopes_of(member["role"], None), None, body.scopes)
        row, token = await access.issue_token(tx, key, member, body.name, body.expires_in_s, body.scopes)
    return TokenCreated(**row, token=token)


@router.get("", dependencies=[allow("tokens:read")])
async def list_tokens(tx: Tx, caller: Caller, paging: Paging) -> Page[TokenOut]:
    """Newest first."""
    after = paging.after(UUID)
    rows = await members.tokens(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, lambda row: TokenOut(**row), lambda row: (row["id"],))


@router.delete("/{token_id}", status_code=204, dependencies=[allow("tokens:write")], responses=problems(TokenNotFound))
async def revoke_token(token_id: UUID, tx: Tx, caller: Caller) -> None:
    """Revoke a token: within seconds every service refuses it. A second time changes nothing."""
    await access.revoke_token(tx, caller.workspace_id, token_id)
