"""The settings of the one-machine stack, and the list of every setting there is."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from common.production import known_password
from common.settings import SECRETS_DIR, SharedSettings, given, load, variable
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from barid.provision import SERVICES, VARIABLES


class StackSettings(BaseSettings):
    """What `barid up` reads itself."""

    model_config = SettingsConfigDict(extra="ignore", secrets_dir=SECRETS_DIR, populate_by_name=True)

    environment: Literal["local", "production"] = Field(
        "local", validation_alias="BARID_ENV", description="production refuses secrets that others know or could guess"
    )
    host: str = Field("127.0.0.1", validation_alias="BARID_HOST", description="address the gateway listens on")
    port: int = Field(8080, ge=1, le=65535, validation_alias="BARID_PORT", description="port of the gateway")
    public_url: str | None = Field(
        None, validation_alias="BARID_PUBLIC_URL", description="how the outside reaches the gateway; links begin so"
    )
    data_dir: Path = Field(
        Path("var"), validation_alias="BARID_DATA_DIR", description="database, secrets, logs and pid files"
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="a PostgreSQL ≥ 15 and a role that may create databases and roles; else an embedded one is started",
    )
    smtp_url: SecretStr | None = Field(
        None, validation_alias="BARID_SMTP_URL", description="the SMTP server to send through; else a local sink"
    )

    @property
    def url(self) -> str:
        """The public URL, without a slash at its end."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return (self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}").rstrip("/")

    @property
    def area(self) -> Path:
        """The data directory, absolute."""
        return self.data_dir.expanduser().absolute()


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable."""

    name: str
    default: str
    description: str
    group: str


def stack_settings() -> StackSettings:
    """The stack's settings. Raises Misconfigured with one line."""
    settings: StackSettings = load(StackSettings)
    if settings.environment == "production":
        if settings.database_url is not None:
            known_password("DATABASE_URL", settings.database_url.get_secret_value())
        for name in VARIABLES.values():
            known_password(name, given(name) or "")
    return settings


def catalogue() -> Iterator[Setting]:
    """Every setting of the stack and of the services, each variable once."""
    seen: set[str] = set()
    groups: list[tuple[str, type[BaseSettings]]] = [("one machine", StackSettings), ("shared", SharedSettings)]
    groups += [(service, import_module(f"{service}.settings").Settings) for service in SERVICES]
    for group, model in groups:
        for field, info in model.model_fields.items():
            name = variable(model, field)
            if name not in seen:
                seen.add(name)
                yield Setting(name, _default(info.default), info.description or "", group)
    for name, text in _EXTRA.items():
        yield Setting(name, "", text, "one machine")


_EXTRA = {
    "BUS_OWNER_DATABASE_URL": "the bus database, as its owner: used by `barid migrate` only",
    "BARID_PG_BINDIR": "folder of PostgreSQL's programs for the embedded server",
    "BARID_SECRETS_DIR": "folder with a file per secret, named as the setting in lower case",
}


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None or "Undefined" in repr(value) else str(value)
