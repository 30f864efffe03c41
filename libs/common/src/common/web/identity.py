"""Who sends a request: the bearer token, or a stream ticket where a route takes one."""

from fastapi import Request

from common.errors import Unauthorized
from common.web.access import Revocations
from common.web.sse import open_ticket
from common.web.tokens import Principal, TokenVerifier


async def identify(request: Request, *, ticket_allowed: bool = False) -> Principal:
    """The caller. Raises Unauthorized without a valid, unrevoked token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        verifier: TokenVerifier = request.app.state.tokens
        caller = verifier.verify(token.strip())
    elif ticket_allowed and (ticket := request.query_params.get("ticket")):
        caller = open_ticket(request.app.state.settings.link_key_ring(), ticket, request.url.path)
    else:
        raise Unauthorized(mend="Send `Authorization: Bearer <token>`")
    revocations: Revocations = request.app.state.revocations
    await revocations.check(caller)
    return caller
