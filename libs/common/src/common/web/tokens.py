"""Bearer tokens: JWTs signed with Ed25519 (RFC 8037, RFC 9864), verified by each service by itself.

The algorithm is fixed, so neither `none` nor an HMAC keyed with a public key can pass.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from common.errors import Misconfigured, Unauthorized
from common.ids import new_id
from common.web.roles import scopes_of

ISSUER = "barid"
AUDIENCE = "barid"
ALGORITHM = "Ed25519"
LEEWAY_S = 5
_CACHED = 2048


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a member through a role, or a token with its own scopes. `token_id` is the JWT's `jti`."""

    workspace_id: UUID
    subject_id: UUID
    token_id: UUID
    kind: Literal["member", "token"]
    role: str | None
    scopes: frozenset[str]
    issued_at: float
    expires_at: float


def new_signing_key() -> tuple[str, str]:
    """A new private key as JWK, and its public half as JWKS, both JSON."""
    key = OKPKey.generate_key("Ed25519", parameters={"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    return json.dumps(key.as_dict(private=True)), json.dumps({"keys": [key.as_dict(private=False)]})


def public_keys(*private_jwks: str) -> str:
    """The JWKS that verifiers need for these private keys, the newest first."""
    return json.dumps({"keys": [OKPKey.import_key(json.loads(k)).as_dict(private=False) for k in private_jwks]})


def sign(
    private_jwk: str,
    *,
    workspace_id: UUID,
    subject_id: UUID,
    role: str | None = None,
    scopes: Iterable[str] | None = None,
    ttl_s: float,
    token_id: UUID | None = None,
    now: float | None = None,
) -> str:
    """A signed token. Give a role (a member's) or scopes (a token of its own, whose subject is the token)."""
    key = OKPKey.import_key(json.loads(private_jwk))
    at = time.time() if now is None else now
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(subject_id),
        "jti": str(token_id or new_id()),
        "workspace": str(workspace_id),
        "iat": at,
        "nbf": int(at),
        "exp": int(at + ttl_s),
    }
    if role is not None:
        claims["role"] = role
    else:
        claims["scopes"] = sorted(scopes or ())
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class TokenVerifier:
    """Verifies tokens against a JWKS; what verified once is remembered until it expires."""

    def __init__(self, jwks: str) -> None:
        try:
            keys = json.loads(jwks)["keys"]
            usable = [OKPKey.import_key(key) for key in keys if key.get("crv") == "Ed25519" and "d" not in key]
        except (ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            raise Misconfigured("BARID_TOKEN_KEYS is not a JWKS with public Ed25519 keys") from error
        if not usable or len(usable) != len(keys):
            raise Misconfigured("BARID_TOKEN_KEYS must hold public Ed25519 keys, and nothing else")
        self._keys = KeySet([*usable])
        self._kids = frozenset(key.kid for key in usable)
        self._known: dict[str, Principal] = {}

    def verify(self, token: str, now: float | None = None) -> Principal:
        """Who the token speaks for. Raises Unauthorized."""
        at = time.time() if now is None else now
        principal = self._known.get(token)
        if principal is None:
            principal = self._decode(token, at)
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[token] = principal
        if at > principal.expires_at + LEEWAY_S:
            raise Unauthorized("The token has expired", mend="Get a new token")
        return principal

    def _decode(self, text: str, at: float) -> Principal:
        try:
            token = jwt.decode(text, self._keys, algorithms=[ALGORITHM])
            if token.header.get("kid") not in self._kids:
                raise Unauthorized("The token is signed by an unknown key")
            registry = jwt.JWTClaimsRegistry(
                now=int(at),
                leeway=LEEWAY_S,
                iss={"essential": True, "value": ISSUER},
                aud={"essential": True, "value": AUDIENCE},
                exp={"essential": True},
                nbf={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                jti={"essential": True},
            )
            registry.validate({**token.claims, "iat": int(token.claims.get("iat", 0))})
            return _principal(token.claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise Unauthorized("The token is not valid", mend="Send a valid bearer token") from error


def _principal(claims: dict[str, Any]) -> Principal:
    role = claims.get("role")
    scopes = None if role is not None else claims["scopes"]
    return Principal(
        workspace_id=UUID(claims["workspace"]),
        subject_id=UUID(claims["sub"]),
        token_id=UUID(claims["jti"]),
        kind="token" if role is None else "member",
        role=role,
        scopes=scopes_of(role, scopes),
        issued_at=float(claims["iat"]),
        expires_at=float(claims["exp"]),
    )
