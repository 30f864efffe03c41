"""Settings that more than one service reads. Each service adds its own with its own prefix.

Environment variables only; secrets may also come from files (`BARID_SECRETS_DIR/<lower-case name>`).
"""

import base64
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.contracts.addresses import InvalidAddress, a_label
from common.errors import Misconfigured

# Known to everybody: typed text, which production refuses.
DEVELOPMENT_SEALING_KEYS = "development:c2VhbHMgbm90aGluZyBidXQgZGV2ZWxvcG1lbnQhISE="
_AES_256 = 32
_secrets_dir = os.environ.get("BARID_SECRETS_DIR")
_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
SECRETS_DIR = Path(_secrets_dir) if _secrets_dir else None


class SharedSettings(BaseSettings):
    """What every process of every service may need. `validation_alias` is the environment variable."""

    model_config = SettingsConfigDict(extra="ignore", secrets_dir=SECRETS_DIR, populate_by_name=True)

    environment: Literal["local", "production"] = Field(
        "local", validation_alias="BARID_ENV", description="production refuses secrets that others know or could guess"
    )
    public_url: str = Field("http://127.0.0.1:8080", validation_alias="BARID_PUBLIC_URL")
    bus: Literal["postgres", "kafka"] = Field("postgres", validation_alias="BARID_BUS")
    bus_database_url: SecretStr | None = Field(None, validation_alias="BUS_DATABASE_URL")
    kafka_bootstrap: str = Field("127.0.0.1:9092", validation_alias="BARID_KAFKA_BOOTSTRAP")
    kafka_prefix: str = Field(
        "", validation_alias="BARID_KAFKA_PREFIX", description="before every topic and group, on a shared cluster"
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", validation_alias="BARID_KAFKA_SECURITY"
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", validation_alias="BARID_KAFKA_MECHANISM"
    )
    kafka_username: str = Field("", validation_alias="BARID_KAFKA_USERNAME")
    kafka_password: SecretStr = Field(SecretStr(""), validation_alias="BARID_KAFKA_PASSWORD")
    kafka_ca_file: str = Field(
        "", validation_alias="BARID_KAFKA_CA_FILE", description="PEM file of the authority; the system's without it"
    )
    kafka_replication: int = Field(
        1, ge=1, validation_alias="BARID_KAFKA_REPLICATION", description="copies of each new topic; 3 in production"
    )
    kafka_min_insync: int = Field(
        1, ge=1, validation_alias="BARID_KAFKA_MIN_INSYNC", description="copies that must hold an event; 2 of 3"
    )
    token_keys: str = Field("", validation_alias="BARID_TOKEN_KEYS", description="JWKS (public keys) as JSON")
    link_keys: SecretStr = Field(
        SecretStr(""),
        validation_alias="BARID_LINK_KEYS",
        description="<key id>:<base64 of 32 bytes>, the newest first, at most two; shared by every service",
    )
    pepper: SecretStr = Field(
        SecretStr(""),
        validation_alias="BARID_PEPPER",
        description="base64 of 32 bytes; keys the address hashes",
    )
    dkim_domains: str = Field(
        "",
        validation_alias="BARID_DKIM_DOMAINS",
        description="the domains of BARID_DKIM_KEYS, by commas: campaigns has no keys, and warns of what is not signed",
    )
    cors_origins: Annotated[str, Field(validation_alias="BARID_CORS_ORIGINS")] = ""
    log_level: str = Field("INFO", validation_alias="BARID_LOG_LEVEL")
    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    health_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        validation_alias="BARID_HEALTH_PORT",
        description="/healthz, /readyz and /metrics of processes that serve nothing else; no listener without it",
    )
    health_host: str = Field("127.0.0.1", validation_alias="BARID_HEALTH_HOST", description="where that port is")
    start_wait_s: float = Field(
        0,
        ge=0,
        le=3600,
        validation_alias="BARID_START_WAIT_S",
        description="how long a start waits for a migration, topics or a broker that may still come; else it fails",
    )
    grace_s: float = Field(
        25.0,
        gt=0,
        le=3600,
        validation_alias="BARID_GRACE_S",
        description="seconds to finish what is under way after SIGTERM; less than its killer waits (Kubernetes: 30)."
        " Mailers: more than BARID_SMTP_DOT_TIMEOUT_S, or a slow answer leaves a message uncertain",
    )
    instance: str = Field("", validation_alias="BARID_INSTANCE", description="stable name of this process")

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")

    def pepper_bytes(self) -> bytes:
        """The pepper. Raises Misconfigured."""
        return _secret("BARID_PEPPER", self.pepper.get_secret_value())

    def link_key_ring(self) -> dict[str, bytes]:
        """Key id → key, the signing key first. Raises Misconfigured."""
        ring = key_ring("BARID_LINK_KEYS", self.link_keys.get_secret_value())
        if not 1 <= len(ring) <= 2:
            raise Misconfigured("BARID_LINK_KEYS must hold one or two keys, <key id>:<base64 of 32 bytes>")
        return ring

    def dkim_domain_names(self) -> frozenset[str]:
        """The domains of BARID_DKIM_DOMAINS, as A-labels. Raises Misconfigured."""
        given = [one.strip() for one in self.dkim_domains.split(",") if one.strip()]
        try:
            named = frozenset(a_label(one) for one in given)
        except InvalidAddress as error:
            raise Misconfigured(f"BARID_DKIM_DOMAINS: {error}") from error
        if wrong := [one for one in named if not _DOMAIN.fullmatch(one)]:
            raise Misconfigured(f"BARID_DKIM_DOMAINS: {wrong[0]!r} is no domain; give names, by commas")
        return named

    def require_bus_database(self) -> str:
        """The bus database's URL. Raises Misconfigured."""
        if self.bus_database_url is None:
            raise Misconfigured("BUS_DATABASE_URL is not set, and BARID_BUS is postgres")
        return self.bus_database_url.get_secret_value()


class ServiceSettings(SharedSettings):
    """A service's settings: subclass with `env_prefix="CONTACTS_"`. Three roles, three URLs."""

    database_url: SecretStr | None = Field(None, description="the owner's: used by `migrate` only")
    api_database_url: SecretStr | None = None
    worker_database_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = 8000

    def require_url(self, role: Literal["owner", "api", "worker"]) -> str:
        """The database URL of a role. Raises Misconfigured, naming the setting."""
        field = {"owner": "database_url", "api": "api_database_url", "worker": "worker_database_url"}[role]
        value: SecretStr | None = getattr(self, field)
        if value is None:
            raise Misconfigured(f"{variable(type(self), field)} is not set")
        return value.get_secret_value()


class SealingSettings(ServiceSettings):
    """Of services that keep others' secrets."""

    sealing_keys: SecretStr = Field(
        SecretStr(""),
        validation_alias="BARID_SEALING_KEYS",
        description="<key id>:<base64 of 32 bytes>, the newest first; seals secrets at rest; needed in production",
    )

    def sealing_key_ring(self) -> dict[str, bytes]:
        """Key id → key, the one that seals first; without one, the development's. Raises Misconfigured."""
        text = self.sealing_keys.get_secret_value()
        if not text and self.environment == "production":
            raise Misconfigured("BARID_SEALING_KEYS is not set (`barid settings --secrets` makes one)")
        ring = key_ring("BARID_SEALING_KEYS", text or DEVELOPMENT_SEALING_KEYS)
        for key_id, key in ring.items():
            if len(key) != _AES_256 or not 0 < len(key_id.encode()) < 256:
                raise Misconfigured(
                    f"BARID_SEALING_KEYS must hold <key id>:<base64 of {_AES_256} bytes>, the newest first"
                )
        return ring


def variable(model: type[BaseSettings], field: str) -> str:
    """The environment variable of a field."""
    alias = model.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{model.model_config.get('env_prefix', '')}{field}".upper()


def given(name: str) -> str | None:
    """What the environment says, else a file of BARID_SECRETS_DIR; None where neither does."""
    if value := os.environ.get(name):
        return value
    file = SECRETS_DIR / name.lower() if SECRETS_DIR else None
    return file.read_text().strip() if file is not None and file.is_file() else None


def key_ring(name: str, text: str) -> dict[str, bytes]:
    """`<key id>:<base64 of 32 bytes>,…` of a setting as key id → key, in that order. Raises Misconfigured."""
    ring: dict[str, bytes] = {}
    for pair in filter(None, text.split(",")):
        key_id, _, value = pair.partition(":")
        key_id = key_id.strip()
        if key_id in ring:
            raise Misconfigured(f"{name} names two keys {key_id}: each needs an id of its own")
        ring[key_id] = _secret(name, value)
    return ring


def load(settings: type[Any], **overrides: Any) -> Any:
    """Build settings from the environment. Raises Misconfigured with one line that names each wrong setting."""
    try:
        return settings(**overrides)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise Misconfigured("; ".join(lines)) from error


def _secret(name: str, value: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise Misconfigured(f"{name} is not base64") from error
    if len(key) < 32:
        raise Misconfigured(f"{name} must be the base64 of at least 32 bytes (`barid settings --secrets` makes one)")
    return key
