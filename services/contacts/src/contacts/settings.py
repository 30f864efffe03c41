"""The settings of contacts: environment variables that begin with CONTACTS_, and the shared ones."""

from common.settings import SealingSettings
from pydantic_settings import SettingsConfigDict


class Settings(SealingSettings):
    """Contacts' settings."""

    model_config = SettingsConfigDict(env_prefix="CONTACTS_", extra="ignore", populate_by_name=True)

    port: int = 8001
