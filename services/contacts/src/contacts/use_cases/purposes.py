"""From a purpose's key, which people write, to its id, which events carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from common.db.pool import Connection

from contacts.db import workspaces
from contacts.errors import UnknownPurpose


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a consent is for; the version is that of the wording people are shown now."""

    id: UUID
    key: str
    version: int
    wording: Mapping[str, str] = field(default_factory=dict)


async def list_purposes(tx: Connection, workspace_id: UUID) -> list[Purpose]:
    """Every purpose of the workspace."""
    found = await workspaces.purposes(tx, workspace_id)
    return [Purpose(UUID(str(p["id"])), p["key"], p.get("version", 1), p.get("wording", {})) for p in found]


async def resolve_purpose(tx: Connection, workspace_id: UUID, key: str) -> Purpose:
    """The purpose with this key. Raises UnknownPurpose."""
    purposes = await list_purposes(tx, workspace_id)
    for purpose in purposes:
        if purpose.key == key:
            return purpose
    raise UnknownPurpose(
        f"There is no purpose {key!r}", purpose=key, mend=f"Use one of: {', '.join(p.key for p in purposes)}"
    )


def wording(purpose: Purpose, language: str) -> str:
    """What a purpose is in a person's language; in another if it is not worded in that one, else its key."""
    words = purpose.wording
    return words.get(language) or words.get("en") or next(filter(None, words.values()), purpose.key)
