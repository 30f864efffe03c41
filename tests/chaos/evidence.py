"""Reading the three witnesses: the sink's log, the databases of delivery and analytics, and what the API tells."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
from barid import embedded
from barid.provision import derive

from tests.chaos.checker import Block, Entry, Seen

_LEDGER = """
select id, coalesce(email, contact_id::text) as recipient, status, class, attempt from messages where mailing_id = $1
"""

_WAITS = "select status in ('pending', 'deferred') as waits from messages where mailing_id = $1 and email = $2"

# Whoever gets no more mail, by address or by consent, whether delivery says so itself or was told by contacts.
_BLOCKS = """
select m.email, coalesce(b.own_reason, b.told_reason, '?') as reason
  from messages m join mailings w on w.workspace_id = m.workspace_id and w.id = m.mailing_id
  join blocks b on b.workspace_id = m.workspace_id and (b.own_id is not null or b.told_blocked)
   and ((b.scope = 'address' and b.subject = m.address_hash) or (b.scope = 'domain' and b.subject = m.domain_hash)
     or (b.scope = 'consent' and b.subject = uuid_send(m.contact_id) || uuid_send(w.purpose_id)))
 where m.mailing_id = $1 and m.email is not null
"""

_FACTS = "select type, message_id from facts where campaign_id = $1"


class Databases:
    """The stack's databases, read by their administrator."""

    def __init__(self, directory: Path) -> None:
        url = embedded.url_in(directory / "postgres")
        assert url is not None
        self._url = url

    def url(self, service: str) -> str:
        """The administrator's way into the database of a service."""
        return derive(self._url, service)

    def read(self, service: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows, once."""

        async def once() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url(service), timeout=30)
            try:
                return await connection.fetch(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(once())

    @contextmanager
    def locked(self, service: str, table: str) -> Iterator[None]:
        """Nobody writes to a table while this holds; reading goes on."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self.url(service), timeout=30))
            try:
                runner.run(connection.execute(f"begin; lock table {table} in share row exclusive mode"))
                yield
            finally:
                runner.run(connection.close())

    def ledger(self, campaign: str) -> list[Entry]:
        """The ledger of a campaign. Who was erased is named by the contact's id."""
        rows = self.read("delivery", _LEDGER, UUID(campaign))
        return [Entry(str(r["id"]), r["recipient"].lower(), r["status"], r["class"], r["attempt"]) for r in rows]

    def waits(self, campaign: str, recipient: str) -> bool:
        """Whether somebody's mail still waits for its turn."""
        rows = self.read("delivery", _WAITS, UUID(campaign), recipient)
        return any(row["waits"] for row in rows)

    def blocks(self, campaign: str) -> list[Block]:
        """Those in a campaign who get no more mail now."""
        return [Block(r["email"].lower(), r["reason"]) for r in self.read("delivery", _BLOCKS, UUID(campaign))]

    def facts(self, campaign: str) -> dict[str, list[str]]:
        """What analytics was told of a campaign: event type → message ids."""
        found: dict[str, list[str]] = defaultdict(list, sent=[], failed=[], suppressed=[], uncertain=[])
        for row in self.read("analytics", _FACTS, UUID(campaign)):
            found[row["type"].removeprefix("email.")].append(str(row["message_id"]))
        return dict(found)


def read_log(path: Path, start: int = 0) -> Iterator[Seen]:
    """The sink's log from a place in the file on."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            one = json.loads(line)
            message_id = (one["id"] or "").partition("@")[0] or None
            yield Seen(one["t"], one["rcpt"], one["phase"], one["verdict"], message_id, one["rule"], one.get("leave"))
