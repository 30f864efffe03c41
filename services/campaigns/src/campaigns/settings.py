"""Settings of campaigns, prefix CAMPAIGNS_."""

from pathlib import Path
from typing import Literal

from common.errors import Misconfigured
from common.settings import ServiceSettings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """What the processes of campaigns read from the environment."""

    model_config = SettingsConfigDict(env_prefix="CAMPAIGNS_", extra="ignore", populate_by_name=True)

    port: int = 8002
    token_signing_key: SecretStr = Field(
        SecretStr(""),
        validation_alias="BARID_TOKEN_SIGNING_KEY",
        description="the private Ed25519 key that signs access tokens, as a JWK",
    )
    sender_policy: Literal["warn", "refuse"] = Field(
        "warn",
        description="a campaign whose sender's domain is not verified: started with a warning, or refused;"
        " a workspace may be stricter",
    )
    lateness_limit_s: float = Field(
        3600, ge=0, description="a scheduled campaign found due later than this is not started but failed"
    )

    openapi_file: Path | None = Field(
        None,
        validation_alias="BARID_OPENAPI_FILE",
        description="the document of all services, served at /v1/openapi.json; campaigns' own without it",
    )

    def require_signing_key(self) -> str:
        """The private key, as a JWK. Raises Misconfigured."""
        key = self.token_signing_key.get_secret_value()
        if not key:
            raise Misconfigured("BARID_TOKEN_SIGNING_KEY is not set")
        return key
