import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from common.errors import Misconfigured, Unauthorized
from common.web.roles import ROLES, SCOPES
from common.web.tokens import TokenVerifier, new_signing_key, public_keys, sign
from joserfc import jwt
from joserfc.jwk import OKPKey

PRIVATE, PUBLIC = new_signing_key()
WORKSPACE, MEMBER = uuid4(), uuid4()


def token(**changes: object) -> str:
    options = {"workspace_id": WORKSPACE, "subject_id": MEMBER, "role": "editor", "ttl_s": 60, **changes}
    return sign(PRIVATE, **options)  # type: ignore[arg-type]


def forged(claims: dict[str, object] | None = None, header: dict[str, object] | None = None) -> str:
    """Signed by the right key, with claims or header that are not ours."""
    key = OKPKey.import_key(json.loads(PRIVATE))
    now = int(time.time())
    full: dict[str, object] = {
        "iss": "barid",
        "aud": "barid",
        "sub": str(MEMBER),
        "jti": str(uuid4()),
        "workspace": str(WORKSPACE),
        "role": "owner",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        **(claims or {}),
    }
    full = {name: value for name, value in full.items() if value is not None}
    return jwt.encode({"alg": "Ed25519", "kid": key.kid, **(header or {})}, full, key, algorithms=["Ed25519"])


def b64(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_members_token_gives_the_scopes_of_the_role() -> None:
    principal = TokenVerifier(PUBLIC).verify(token())

    assert (principal.workspace_id, principal.subject_id, principal.kind) == (WORKSPACE, MEMBER, "member")
    assert principal.scopes == ROLES["editor"]
    assert "members:write" not in principal.scopes


def test_a_token_of_its_own_has_only_known_scopes() -> None:
    text = token(role=None, scopes=["contacts:read", "root:all"])

    principal = TokenVerifier(PUBLIC).verify(text)

    assert principal.kind == "token"
    assert principal.scopes == {"contacts:read"}


def test_an_unknown_role_may_do_nothing() -> None:
    assert TokenVerifier(PUBLIC).verify(token(role="emperor")).scopes == frozenset()


def test_the_forging_helper_itself_makes_a_good_token() -> None:
    assert TokenVerifier(PUBLIC).verify(forged()).role == "owner"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"},
        {"aud": None},
        {"iss": "other"},
        {"iss": None},
        {"exp": timedelta(seconds=-60)},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": timedelta(seconds=600)},
        {"nbf": None},
        {"iat": None},
        {"iat": timedelta(seconds=600)},
        {"sub": None},
        {"sub": "me"},
        {"jti": None},
        {"workspace": None},
        {"workspace": 7},
        {"role": None},
    ],
    ids=[*map(str, range(17))],
)
def test_wrong_claims_are_refused(claims: dict[str, object]) -> None:
    # From now on, not from when the tests were collected: that may be more than ten minutes ago.
    now = int(time.time())
    given = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    with pytest.raises(Unauthorized):
        TokenVerifier(PUBLIC).verify(forged(given))


def test_a_token_that_was_good_is_refused_once_it_expired() -> None:
    verifier, text = TokenVerifier(PUBLIC), token(ttl_s=60)
    verifier.verify(text)

    with pytest.raises(Unauthorized, match="expired"):
        verifier.verify(text, now=time.time() + 66)


def test_a_foreign_key_is_refused_whatever_kid_it_names() -> None:
    foreign, _ = new_signing_key()
    stolen = {**json.loads(foreign), "kid": json.loads(PRIVATE)["kid"]}

    for private in (foreign, json.dumps(stolen)):
        text = sign(private, workspace_id=WORKSPACE, subject_id=MEMBER, role="owner", ttl_s=60)
        with pytest.raises(Unauthorized):
            TokenVerifier(PUBLIC).verify(text)


def test_alg_none_is_refused() -> None:
    payload = token().split(".")[1]

    for alg in ("none", "None", "NONE"):
        for signature in ("", "AA"):
            with pytest.raises(Unauthorized):
                TokenVerifier(PUBLIC).verify(f"{b64({'alg': alg, 'typ': 'JWT'})}.{payload}.{signature}")


def test_an_hmac_keyed_with_the_public_key_is_refused() -> None:
    jwk = json.loads(PUBLIC)["keys"][0]
    payload = token().split(".")[1]
    secrets = [jwk["x"].encode(), base64.urlsafe_b64decode(jwk["x"] + "="), PUBLIC.encode(), json.dumps(jwk).encode()]

    for secret in secrets:
        signed = f"{b64({'alg': 'HS256', 'typ': 'JWT', 'kid': jwk['kid']})}.{payload}"
        tag = hmac.digest(secret, signed.encode(), hashlib.sha256)
        with pytest.raises(Unauthorized):
            TokenVerifier(PUBLIC).verify(f"{signed}.{b64(tag)}")


def test_a_key_in_the_header_is_not_trusted() -> None:
    foreign, _ = new_signing_key()
    key = OKPKey.import_key(json.loads(foreign))
    good = json.loads(base64.urlsafe_b64decode(token().split(".")[1] + "=="))
    text = jwt.encode({"alg": "Ed25519", "jwk": key.as_dict(private=False)}, good, key, algorithms=["Ed25519"])

    with pytest.raises(Unauthorized):
        TokenVerifier(PUBLIC).verify(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "a" * 5000, "e30.e30.e30", "null.null.null"])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(Unauthorized):
        TokenVerifier(PUBLIC).verify(text)


def test_changed_claims_are_refused() -> None:
    header, payload, signature = token(role="viewer").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))

    with pytest.raises(Unauthorized):
        TokenVerifier(PUBLIC).verify(f"{header}.{b64({**claims, 'role': 'owner'})}.{signature}")


def test_two_keys_verify_during_rotation() -> None:
    newer, _ = new_signing_key()
    verifier = TokenVerifier(public_keys(newer, PRIVATE))

    for private in (newer, PRIVATE):
        text = sign(private, workspace_id=WORKSPACE, subject_id=MEMBER, role="viewer", ttl_s=60)
        assert verifier.verify(text).workspace_id == WORKSPACE


@pytest.mark.parametrize(
    "jwks",
    [
        "",
        "{}",
        "[]",
        '{"keys": []}',
        json.dumps({"keys": [json.loads(PRIVATE)]}),
        '{"keys": [{"kty": "oct", "k": "AA"}]}',
    ],
    ids=["empty", "no keys", "list", "none", "private", "symmetric"],
)
def test_a_jwks_that_is_not_public_ed25519_keys_ends_the_start(jwks: str) -> None:
    with pytest.raises(Misconfigured, match="BARID_TOKEN_KEYS"):
        TokenVerifier(jwks)


def test_every_role_has_only_known_scopes_and_only_the_owner_governs() -> None:
    assert set(ROLES) == {"owner", "manager", "editor", "approver", "contributor", "viewer"}
    for role, scopes in ROLES.items():
        assert scopes <= SCOPES
        for governing in ("members:write", "tokens:write", "workspaces:write"):
            assert (governing in scopes) == (role == "owner")
        assert ("campaigns:send" in scopes) == (role in {"owner", "manager", "approver"})
    assert not any(scope.endswith((":write", ":send")) for scope in ROLES["viewer"])


def test_token_ids_are_uuids_of_version_7() -> None:
    assert UUID(str(TokenVerifier(PUBLIC).verify(token()).token_id)).version == 7
