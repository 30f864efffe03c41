"""Bringing the databases to where the services need them, and the first workspace with its owner."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from traceback import print_exc
from typing import Any
from uuid import UUID

from common.db.migrate import upgrade
from common.db.pool import Database
from common.errors import Misconfigured
from common.exits import brief
from common.settings import given
from sqlalchemy.exc import DBAPIError

from barid import embedded, keys, provision, state
from barid.environment import given_urls
from barid.settings import StackSettings

LOCAL: dict[str, Any] = {
    "name": "Local",
    "owner_email": "owner@barid.example",
    "values": {
        "postal_address": "Barid, 12 Caravan Road, 11511 Postville",
        "tracking_mode": "individual",
        "languages": ["en", "ar", "fa"],
        "time_zone": "UTC",
    },
}


def admin_url(settings: StackSettings) -> str | None:
    """The administrator's URL: DATABASE_URL, else that of the embedded server if one runs here."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    if given_urls() or state.supervisor(settings.area) is None:
        return None
    return embedded.url_in(settings.area / "postgres")


def urls(settings: StackSettings) -> dict[str, str]:
    """Variable → URL of every role. Raises Misconfigured."""
    admin = admin_url(settings)
    if admin is not None:
        return provision.urls(admin, keys.load(settings.area).database)
    found = {name: given(name) or "" for name in provision.VARIABLES.values()}
    missing = [name for name, url in found.items() if not url]
    if missing:
        raise Misconfigured(
            f"DATABASE_URL is not set, nor is {missing[0]}, and nothing runs in {settings.area}: "
            "set it, or let `barid up` start a database"
        )
    return found


def url_of(settings: StackSettings, variable: str) -> str:
    """The URL of one role: given, else derived. Raises Misconfigured."""
    return given(variable) or urls(settings)[variable]


def provision_given(settings: StackSettings) -> list[str]:
    """Make the databases and roles that the given URLs name. Raises Misconfigured."""
    if settings.database_url is None:
        raise Misconfigured("DATABASE_URL is not set: the server, and a role that may create databases and roles")
    return asyncio.run(provision.provision_given(settings.database_url.get_secret_value()))


def migrate(settings: StackSettings, told: Callable[[str], None]) -> None:
    """Make databases and roles, then run every migration. Raises Misconfigured."""
    where = urls(settings)
    admin = admin_url(settings)
    if admin is not None:
        asyncio.run(provision.provision(admin, keys.load(settings.area).database))
    for database, (owner, *_) in provision.ROLES.items():
        told(database)
        variable = provision.VARIABLES[owner]
        try:
            upgrade(database, where[variable])
        except (OSError, TimeoutError) as error:
            raise Misconfigured(f"{variable}: the database server cannot be reached: {error}") from error
        except DBAPIError as error:
            print_exc()
            raise Misconfigured(f"the migration of {database} failed: {brief(error.orig or error)}") from error


def bootstrap(settings: StackSettings, *, name: str, owner_email: str, values: dict[str, Any]) -> Any:
    """The workspace, its first owner and a new token; an existing workspace keeps what it has."""
    return asyncio.run(_bootstrap(settings, name, owner_email, values))


def token(settings: StackSettings, workspace_id: UUID, ttl_s: int) -> str:
    """A new token of a workspace's owner."""
    return asyncio.run(_token(settings, workspace_id, ttl_s))


async def _bootstrap(settings: StackSettings, name: str, owner_email: str, values: dict[str, Any]) -> Any:
    module = import_module("campaigns.use_cases.bootstrap")
    db = await _campaigns(settings)
    try:
        return await module.bootstrap(db, signing_key(settings), name=name, owner_email=owner_email, values=values)
    finally:
        await db.close()


async def _token(settings: StackSettings, workspace_id: UUID, ttl_s: int) -> str:
    module = import_module("campaigns.use_cases.bootstrap")
    db = await _campaigns(settings)
    try:
        made: str = await module.owner_token(db, signing_key(settings), workspace_id, ttl_s=ttl_s)
        return made
    finally:
        await db.close()


async def _campaigns(settings: StackSettings) -> Database:
    return await Database.open(url_of(settings, "CAMPAIGNS_API_DATABASE_URL"), name="barid", max_size=1)


def signing_key(settings: StackSettings) -> str:
    """The private key that signs tokens: BARID_TOKEN_SIGNING_KEY, else the installation's own."""
    return given("BARID_TOKEN_SIGNING_KEY") or keys.load(settings.area).token_signing_key
