"""BARID_ENV=production refuses secrets that others know, or could guess: one line that names the setting."""

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from common.errors import Misconfigured
from common.settings import SharedSettings, key_ring, variable

_WORDS = """
admin administrator barid changeme default guest kafka letmein login pass passw0rd password postgres postgresql pw pwd
qwerty root scram secret test tests user 1234 12345 123456 1234567 12345678 123456789 1234567890
"""
_WELL_KNOWN = frozenset(_WORDS.split())
# What people write where a value must be put.
_PLACEHOLDERS = (
    "changeme",
    "changethis",
    "replaceme",
    "example",
    "insecure",
    "placeholder",
    "yourpassword",
    "notsecret",
)
_DISTINCT = 12  # of 32 random bytes, 30 differ
# Published pairs: RFC 8037, appendix A.
_PUBLISHED = frozenset({"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})


def no_default_secrets(settings: SharedSettings) -> None:
    """Raises Misconfigured in production when a secret that is set is a default, an example, typed, or a pattern.

    Which ones must be set is for the process that needs them to say.
    """
    if settings.environment != "production":
        return
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if field.endswith("database_url") and isinstance(value, SecretStr):
            known_password(variable(type(settings), field), value.get_secret_value())
    if settings.pepper.get_secret_value():
        _random("BARID_PEPPER", settings.pepper_bytes())
    if settings.link_keys.get_secret_value():
        for key in settings.link_key_ring().values():
            _random("BARID_LINK_KEYS", key)
    sealing = getattr(settings, "sealing_keys", SecretStr("")).get_secret_value()
    for key in key_ring("BARID_SEALING_KEYS", sealing).values():
        _random("BARID_SEALING_KEYS", key)
    signing = getattr(settings, "token_signing_key", SecretStr("")).get_secret_value()
    for name, text in (("BARID_TOKEN_SIGNING_KEY", signing), ("BARID_TOKEN_KEYS", settings.token_keys)):
        if not _PUBLISHED.isdisjoint(_publics(text)):
            raise _refused(name, "is a published example of a key")
    if settings.kafka_security.startswith("SASL"):
        password = settings.kafka_password.get_secret_value()
        if settings.kafka_username and why_known(password, settings.kafka_username):
            raise _refused("BARID_KAFKA_PASSWORD", why_known(password, settings.kafka_username))


def known_password(name: str, url: str) -> None:
    """Raises Misconfigured when the password in a database's URL is one that others know.

    A URL without one is fine: certificates, or PostgreSQL's own password file.
    """
    try:
        parts = urlsplit(url)
        given, user, host = parts.password, unquote(parts.username or ""), parts.hostname or ""
    except ValueError:
        return  # not a URL: told by who connects
    if given is not None and (why := why_known(unquote(given), user, host, parts.path.strip("/"))):
        raise _refused(name, f"has a password that {why}")


def why_known(password: str, *names: str) -> str:
    """Why anybody could know this password; empty if there is no reason. `names` are those beside it."""
    plain = "".join(char for char in password.lower() if char.isalnum())
    if not plain or len(set(plain)) < 3:
        return "is empty or nearly so"
    if plain in _WELL_KNOWN or any(word in plain for word in _PLACEHOLDERS):
        return "is a default or an example"
    if any(plain == "".join(char for char in name.lower() if char.isalnum()) for name in names):
        return "is the name beside it"
    return ""


def _random(name: str, key: bytes) -> None:
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if len(set(key)) < _DISTINCT or len(steps) < _DISTINCT:
        raise _refused(name, "is a pattern, not a random key")
    if all(32 <= byte < 127 for byte in key):
        raise _refused(name, "is typed text, not a random key")


def _publics(text: str) -> Iterator[str]:
    """The public halves in a JWK or JWKS; what is neither is told by who reads it."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return
    keys: Iterable[Any] = found.get("keys", [found]) if isinstance(found, dict) else ()
    yield from (key["x"] for key in keys if isinstance(key, dict) and isinstance(key.get("x"), str))


def _refused(name: str, why: str) -> Misconfigured:
    mend = "`barid settings --secrets` makes one" if "key" in why else "give it another"
    return Misconfigured(f"BARID_ENV is production, and {name} {why}: {mend}")
