"""Web sites: making them, their public key, and the secret with which their servers vouch for a visitor."""

import hmac
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id
from common.web.etags import require_match

from contacts.db import sites
from contacts.visit_errors import SiteUnknown


async def create_site(tx: Connection, workspace_id: UUID, fields: Mapping[str, Any], created_by: str) -> asyncpg.Record:
    """Store a site."""
    return await sites.insert(tx, workspace_id, new_id(), fields, created_by)


async def change_site(
    tx: Connection, workspace_id: UUID, site_id: UUID, changes: Mapping[str, Any], if_match: str | None
) -> asyncpg.Record:
    """Change what is given, each part whole. Raises SiteUnknown, PreconditionFailed."""
    row = await sites.find(tx, workspace_id, site_id, lock=True)
    if row is None:
        raise SiteUnknown(site_id=str(site_id))
    require_match(if_match, row["revision"])
    return await sites.change(tx, workspace_id, site_id, {**dict(row), **changes})


async def new_secret(tx: Connection, workspace_id: UUID, site_id: UUID) -> asyncpg.Record:
    """From now on signatures with the secret before are worth nothing. Raises SiteUnknown."""
    row = await sites.find(tx, workspace_id, site_id, lock=True)
    if row is None:
        raise SiteUnknown(site_id=str(site_id))
    changed = {**dict(row), "secret_version": row["secret_version"] + 1}
    return await sites.change(tx, workspace_id, site_id, changed)


def secret_of(row: asyncpg.Record, pepper: bytes) -> str:
    """The secret of a site's servers. It is reckoned, and stored nowhere."""
    said = f"site identity {row['workspace_id']} {row['id']} {row['secret_version']}"
    return hmac.new(pepper, said.encode(), "sha256").hexdigest()


def vouches(row: asyncpg.Record, pepper: bytes, email: str, signature: str) -> bool:
    """Whether the site's server signed this address: HMAC-SHA256 of it, in hexadecimal."""
    wanted = hmac.new(secret_of(row, pepper).encode(), email.encode("utf-8", "replace"), "sha256").hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.lower().encode("utf-8", "replace"))
