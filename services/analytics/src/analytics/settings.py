"""The settings of analytics: environment variables that begin with ANALYTICS_, and the shared ones."""

from common.settings import ServiceSettings
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """Analytics' settings."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", extra="ignore", populate_by_name=True)

    click_settle_s: float = 3.0
    port: int = 8004
