"""The settings of contacts, from the environment."""

from common.settings import ServiceSettings, SettingsConfigDict


class Settings(ServiceSettings):
    """`CONTACTS_…`, beside the shared ones."""

    model_config = SettingsConfigDict(env_prefix="CONTACTS_", extra="ignore", populate_by_name=True)

    import_max_mb: int = 2048
