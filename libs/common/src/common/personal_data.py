"""What a service keeps of one person, told in parts (GDPR, art. 15 and 20)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from common.contracts.envelope import Received
from common.contracts.leads import LeadExportRequestedV1
from common.db.pool import Connection

PART_BYTES = 256 * 1024
PREFETCH_ROWS = 200

# Table → statement. It reads `person` (workspace_id, contact_id, hashes: the keyed hashes of the addresses), which has
# a row for the contact and one for each that was merged into it, and answers with one column: a JSON object a row.
Statements = Mapping[str, str]
Tables = dict[str, list[object]]

# The hashes stand in one row, so that nothing is found twice by them.
_PERSON = """
with person as (
  select $1::uuid as workspace_id, p.id as contact_id, case when p.n = 1 then $3::bytea[] else '{}' end as hashes
    from unnest($2::uuid[]) with ordinality p (id, n))
"""


async def parts(
    tx: Connection, statements: Statements, workspace_id: UUID, contact_ids: Sequence[UUID], hashes: Sequence[bytes]
) -> AsyncIterator[Tables]:
    """All rows about a person, in parts that events can carry; one empty part if there are none.

    `contact_ids`: the contact's, and those of contacts that were merged into it.
    """
    part: Tables = {}
    size = told = 0
    for table, statement in statements.items():
        rows = tx.cursor(f"{_PERSON} {statement}", workspace_id, contact_ids, hashes, prefetch=PREFETCH_ROWS)
        async for row in rows:
            length = len(orjson.dumps(row[0], default=str))
            if size and size + length > PART_BYTES:
                yield part
                part, size, told = {}, 0, told + 1
            part.setdefault(table, []).append(row[0])
            size += length
    if size or not told:
        yield part


async def numbered(
    tx: Connection, statements: Statements, request: Received[LeadExportRequestedV1]
) -> AsyncIterator[dict[str, Any]]:
    """The answer to a request, part after part, as LeadExportedV1 wants it but for the service; the last is marked."""
    asked = request.data
    about = {"contact_id": asked.contact_id, "request_id": asked.request_id}
    hashes = [bytes.fromhex(one) for one in asked.address_hashes]
    waiting: Tables | None = None
    n = 1
    people = [asked.contact_id, *asked.merged_ids]
    async for part in parts(tx, statements, request.workspace_id, people, hashes):
        if waiting is not None:
            yield {**about, "n": n, "last": False, "tables": waiting}
            n += 1
        waiting = part
    yield {**about, "n": n, "last": True, "tables": waiting}
