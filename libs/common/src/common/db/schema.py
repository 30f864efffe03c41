"""Whether a database's schema fits the code: looked at before anything runs, and whenever a process is asked if it is
ready.

A deployment is a while of two releases on one schema. So the newer schema serves the older code (expand before
contract), and the database itself says down to which (`schema_code`, written with each migration).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import structlog

from common.db.pool import Connection
from common.db.revisions import revisions_of
from common.errors import BaridError

log = structlog.get_logger(__name__)

# Kept beside Alembic's own table, by whoever migrates.
RECORD = "create table if not exists schema_code (revision text primary key, oldest text not null)"
KEEP = """
insert into schema_code (revision, oldest) values ($1, $2) on conflict (revision) do update set oldest = excluded.oldest
"""
_AT = "select version_num from alembic_version"
_OLDEST = "select oldest from schema_code where revision = $1"
_NO_RECORD = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


class UnfitSchema(BaridError):
    """The database's schema does not fit this code."""

    code = "unfit_schema"


class OldSchema(UnfitSchema):
    """The database's schema is older than this code."""

    code = "old_schema"


@dataclass(slots=True)
class Schema:
    """What the code of a service, or of the bus, knows: the revisions up to its own, the first one first."""

    service: str
    known: tuple[str, ...]
    _warned: str = ""

    @property
    def head(self) -> str:
        """The revision this code was written for."""
        return self.known[-1]

    async def check(self, connection: "Connection | asyncpg.Connection[Any]") -> str:
        """The database's revision. Raises UnfitSchema, in one line, unless this code runs on it. Writes nothing."""
        at = await revision(connection)
        if at == self.head:
            return at
        name = await connection.fetchval("select current_database()")
        if at is None or at in self.known:
            mend = "barid migrate" if self.service == "bus" else f"{self.service} migrate"
            where = f"is at revision {at}" if at else "has no schema"
            raise OldSchema(f"the database {name} {where}; this code needs {self.head}", mend=f"run `{mend}`")
        oldest = await _oldest(connection, at)
        if oldest not in self.known:
            serves = f"serves code from {oldest} on" if oldest else "does not say which older code it serves"
            raise UnfitSchema(
                f"the database {name} is at revision {at}, newer than this code's {self.head}, and {serves}",
                mend=f"run the release that migrated it, or restore a backup from before {at}",
            )
        if self._warned != at:
            self._warned = at
            log.warning("schema_newer_than_code", database=name, revision=at, code=self.head, serves_from=oldest)
        return at


def known_to(service: str | Path) -> Schema:
    """The schema that the code of a service was written for. Raises Misconfigured."""
    return Schema(str(service), tuple(one.id for one in revisions_of(service)))


schema_of = cache(known_to)


async def look(service: str, url: str, timeout_s: float = 10) -> None:
    """Check a database with a connection of its own. Raises UnfitSchema, or what kept it from looking."""
    connection = await asyncpg.connect(
        url, timeout=timeout_s, command_timeout=timeout_s, server_settings={"application_name": f"{service} schema"}
    )
    try:
        await schema_of(service).check(connection)
    finally:
        await connection.close(timeout=timeout_s)


async def revision(connection: "Connection | asyncpg.Connection[Any]") -> str | None:
    """The revision a database is at; None where nothing was migrated. Raises UnfitSchema when it cannot be told."""
    try:
        rows = await connection.fetch(_AT)
    except _NO_RECORD:
        return None
    except asyncpg.InsufficientPrivilegeError as error:
        raise UnfitSchema(f"its revision cannot be read: {error}", mend="grant select on alembic_version") from error
    if len(rows) > 1:
        raise UnfitSchema(f"the database names {len(rows)} revisions in alembic_version", mend="restore a backup")
    return rows[0]["version_num"] if rows else None


async def _oldest(connection: "Connection | asyncpg.Connection[Any]", at: str) -> str | None:
    try:
        found: str | None = await connection.fetchval(_OLDEST, at)
    except (*_NO_RECORD, asyncpg.InsufficientPrivilegeError):
        return None
    return found


def name_of(url: str) -> str:
    """A database without user and password, for a line that anybody may read."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
