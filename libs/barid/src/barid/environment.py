"""The environment the processes of the stack start with."""

import os
from dataclasses import dataclass

from common.settings import given

from barid import provision
from barid.keys import Keys
from barid.settings import StackSettings


@dataclass(frozen=True, slots=True)
class Places:
    """What listens where on this machine. `mailbox` is None when mail goes to a real server."""

    smtp_url: str
    tracker_port: int
    sink_port: int | None = None
    mailbox: str | None = None


def environment(settings: StackSettings, keys: Keys, admin_url: str | None, places: Places) -> dict[str, str]:
    """What every process of the stack gets; what the caller's environment names goes before."""
    made = {
        "BARID_PUBLIC_URL": settings.url,
        "BARID_TOKEN_KEYS": keys.token_keys,
        "BARID_TOKEN_SIGNING_KEY": keys.token_signing_key,
        "BARID_LINK_KEYS": keys.link_keys,
        "BARID_PEPPER": keys.pepper,
        "BARID_SEALING_KEYS": keys.sealing_keys,
        "DELIVERY_TRACKER_HOST": "127.0.0.1",
        "DELIVERY_TRACKER_PORT": str(places.tracker_port),
    }
    if admin_url is not None:
        made |= provision.urls(admin_url, keys.database)
    fixed = {
        "BARID_SMTP_URL": places.smtp_url,
        "BARID_DATA_DIR": str(settings.area),
        "BARID_HOST": settings.host,
        "BARID_PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
    }
    if admin_url is not None:
        fixed["DATABASE_URL"] = admin_url
    return {**made, **os.environ, **fixed}


def given_urls() -> bool:
    """Whether every role's URL is named, so that no server is started or provisioned."""
    return all(given(name) for name in provision.VARIABLES.values())
