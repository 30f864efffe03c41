"""Databases and roles: five databases, and for each service an owner and two roles that own nothing."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote, unquote, urlsplit

import asyncpg
from common.errors import Misconfigured
from common.exits import brief
from common.settings import given

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
    return {name: given(name) or url for name, url in made.items()}


async def provision(admin_url: str, secret: str, *, prefix: str = "") -> None:
    """Make the roles and databases that are missing, and set the passwords. Raises Misconfigured.

    A database whose URLs are all given was made by whoever set them.
    """
    async with _administrator(admin_url) as admin:
        for database, roles in ROLES.items():
            own = {role: given(VARIABLES[role]) for role in roles}
            if not all(own.values()):
                passwords = {role: _password(own[role]) or password(secret, role) for role in roles}
                await _make(admin, prefix + database, passwords)


async def provision_given(admin_url: str) -> list[str]:
    """Make the databases and roles that the given URLs name, with their passwords; their names. Raises Misconfigured.

    A database none of whose URLs is given is not made: without BARID_BUS=postgres there need be no `bus`.
    """
    wanted: dict[str, dict[str, str]] = {}
    for roles in ROLES.values():
        own = {role: urlsplit(given(VARIABLES[role]) or "") for role in roles}
        if not any(url.netloc for url in own.values()):
            continue
        for role, url in own.items():
            if url.username != role or not url.password:
                raise Misconfigured(f"{VARIABLES[role]} must name the user {role} and a password")
        wanted[own[roles[0]].path.strip("/")] = {role: unquote(url.password or "") for role, url in own.items()}
    if not wanted:
        raise Misconfigured(f"nothing to provision: neither {' nor '.join(list(VARIABLES.values())[:2])} is set")
    async with _administrator(admin_url) as admin:
        for database, passwords in wanted.items():
            await _make(admin, database, passwords)
    return list(wanted)


@asynccontextmanager
async def _administrator(admin_url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    try:
        admin = await asyncpg.connect(admin_url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OverflowError) as error:
        raise Misconfigured(f"DATABASE_URL: {_where(admin_url)} cannot be reached: {brief(error)}") from error
    try:
        version = int(await admin.fetchval("show server_version_num")) // 10000
        if version < 15:
            raise Misconfigured(f"DATABASE_URL: {_where(admin_url)} is PostgreSQL {version}; 15 or newer is needed")
        await admin.execute("select pg_advisory_lock(hashtext('barid provision'))")
        yield admin
    except asyncpg.InsufficientPrivilegeError as error:
        raise Misconfigured(f"DATABASE_URL: its role may not create databases and roles: {error}") from error
    finally:
        await admin.close()


async def _make(admin: "asyncpg.Connection[asyncpg.Record]", database: str, passwords: Mapping[str, str]) -> None:
    for role, secret in passwords.items():
        await _role(admin, role, secret)
    await _database(admin, database, tuple(passwords))


def _password(url: str | None) -> str | None:
    found = urlsplit(url or "").password
    return unquote(found) if found else None


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
