"""Databases and roles: five databases, and for each service an owner and two roles that own nothing."""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import asyncpg
from common.errors import Misconfigured
from common.exits import brief

SERVICES = ("contacts", "campaigns", "delivery", "analytics")
ROLES: Mapping[str, tuple[str, ...]] = {
    **{service: (f"{service}_owner", f"{service}_api", f"{service}_worker") for service in SERVICES},
    "bus": ("bus_owner", "bus_client"),
}
# Which environment variable holds the URL of a role. Given there, it is taken as it is.
VARIABLES: Mapping[str, str] = {
    **{f"{service}_owner": f"{service.upper()}_DATABASE_URL" for service in SERVICES},
    **{f"{service}_api": f"{service.upper()}_API_DATABASE_URL" for service in SERVICES},
    **{f"{service}_worker": f"{service.upper()}_WORKER_DATABASE_URL" for service in SERVICES},
    "bus_owner": "BUS_OWNER_DATABASE_URL",
    "bus_client": "BUS_DATABASE_URL",
}


def password(secret: str, role: str) -> str:
    """The password of a role, derived from the installation's secret."""
    digest = hmac.digest(secret.encode(), f"role {role}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:24]).decode()


def derive(url: str, database: str, role: str | None = None, secret: str | None = None) -> str:
    """The URL of another database of the same server, and of another role when one is named."""
    parts = urlsplit(url)
    address = parts.netloc
    if role is not None:
        address = f"{role}:{quote(secret or '', safe='')}@{address.rpartition('@')[2]}"
    query = f"?{parts.query}" if parts.query else ""
    return f"postgresql://{address}/{database}{query}"


def urls(admin_url: str, secret: str, *, prefix: str = "") -> dict[str, str]:
    """Environment variable → URL, for every role. What the environment names already goes before."""
    made = {
        VARIABLES[role]: derive(admin_url, prefix + database, role, password(secret, role))
        for database, roles in ROLES.items()
        for role in roles
    }
    return {name: os.environ.get(name, url) for name, url in made.items()}


async def provision(admin_url: str, secret: str, *, prefix: str = "") -> None:
    """Make the roles and databases that are missing, and set the passwords. Raises Misconfigured."""
    try:
        admin = await asyncpg.connect(admin_url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OverflowError) as error:
        raise Misconfigured(f"DATABASE_URL: {_where(admin_url)} cannot be reached: {brief(error)}") from error
    try:
        version = int(await admin.fetchval("show server_version_num")) // 10000
        if version < 15:
            raise Misconfigured(f"DATABASE_URL: {_where(admin_url)} is PostgreSQL {version}; 15 or newer is needed")
        await admin.execute("select pg_advisory_lock(hashtext('barid provision'))")
        for database, roles in ROLES.items():
            given = {role: os.environ.get(VARIABLES[role]) for role in roles}
            if all(given.values()):
                continue  # made by whoever set these URLs
            for role in roles:
                own = urlsplit(given[role] or "").password
                await _role(admin, role, unquote(own) if own else password(secret, role))
            await _database(admin, prefix + database, roles)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Misconfigured(f"DATABASE_URL: its role may not create databases and roles: {error}") from error
    finally:
        await admin.close()


async def _role(admin: "asyncpg.Connection[asyncpg.Record]", role: str, secret: str) -> None:
    exists = await admin.fetchval("select 1 from pg_roles where rolname = $1", role)
    verb = "alter" if exists else "create"
    statement = await admin.fetchval(
        "select format('%s role %I login nocreatedb nocreaterole password %L', $1::text, $2::text, $3::text)",
        verb,
        role,
        secret,
    )
    await admin.execute(statement)
    unsafe = await admin.fetchval("select rolsuper or rolbypassrls from pg_roles where rolname = $1", role)
    if unsafe:
        raise Misconfigured(f"the role {role} is a superuser or may pass by row-level security; take that away")


async def _database(admin: "asyncpg.Connection[asyncpg.Record]", name: str, roles: tuple[str, ...]) -> None:
    owner, *others = roles
    exists = await admin.fetchval("select 1 from pg_database where datname = $1", name)
    if not exists:
        if not await admin.fetchval("select rolsuper from pg_roles where rolname = current_user"):
            await admin.execute(f"grant {owner} to current_user")
        await admin.execute(f"create database \"{name}\" owner {owner} template template0 encoding 'UTF8'")
    await admin.execute(f'revoke all on database "{name}" from public')
    await admin.execute(f'grant connect, temporary on database "{name}" to {", ".join((owner, *others))}')


def _where(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or "the local server"
