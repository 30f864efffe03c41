"""The keys of access tokens: the private one of this process, and the public ones for outsiders."""

from typing import Any

import orjson
from fastapi import APIRouter, Request

from campaigns.errors import SigningUnavailable

router = APIRouter(tags=["tokens"])


def signing_key(request: Request) -> str:
    """The private key. Raises SigningUnavailable."""
    key: str = request.app.state.settings.token_signing_key.get_secret_value()
    if not key:
        raise SigningUnavailable()
    return key


@router.get("/v1/tokens/jwks.json")
@router.get("/.well-known/jwks.json", operation_id="get_well_known_token_keys")
async def get_token_keys(request: Request) -> dict[str, Any]:
    """The public keys that verify access tokens (JWKS, RFC 7517)."""
    keys: dict[str, Any] = orjson.loads(request.app.state.settings.token_keys)
    return keys
