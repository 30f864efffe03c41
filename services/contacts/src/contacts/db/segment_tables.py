"""The tables that compiled rules look at: the allow-list of their columns, and how a contact's rows are found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

text: sa.Text = sa.Text()
C = "C"
contacts = sa.table(
    "contacts",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("id", sa.Uuid()),
    *(sa.column(n, text) for n in ("email", "email_normalised", "first_name", "last_name", "language", "country")),
    *(sa.column(n, text) for n in ("timezone", "external_id", "stage", "company", "city", "owner")),
    *(sa.column(n, text) for n in ("phone", "phone_normalised")),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("score", sa.Double()),
    sa.column("attributes", JSONB()),
    sa.column("tags", ARRAY(text)),
).alias("c")
values = sa.table(
    "contact_value",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("attribute", text),
    sa.column("value", sa.Text(collation=C)),
    sa.column("number", sa.Double()),
    sa.column("contact_id", sa.Uuid()),
).alias("v")
consents = sa.table(
    "consents",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("contact_id", sa.Uuid()),
    sa.column("purpose_id", sa.Uuid()),
    sa.column("status", text),
).alias("k")
members = sa.table(
    "list_members",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("list_id", sa.Uuid()),
    sa.column("contact_id", sa.Uuid()),
    sa.column("added_at", sa.DateTime(timezone=True)),
).alias("l")
activity = sa.table(
    "activity",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("contact_id", sa.Uuid()),
    sa.column("campaign_id", sa.Uuid()),
    sa.column("type", text),
    sa.column("at", sa.DateTime(timezone=True)),
    sa.column("machine", sa.Boolean()),
    sa.column("properties", JSONB()),
).alias("a")
snapshots = sa.table(
    "segment_snapshot_members",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("snapshot_id", sa.Uuid()),
    sa.column("contact_id", sa.Uuid()),
).alias("s")
money = sa.table(
    "contact_money",
    sa.column("workspace_id", sa.Uuid()),
    sa.column("contact_id", sa.Uuid()),
    sa.column("currency", text),
    sa.column("conversions", sa.BigInteger()),
    sa.column("total", sa.Numeric()),
    sa.column("last_at", sa.DateTime(timezone=True)),
).alias("y")


@dataclass(frozen=True, slots=True)
class View:
    """What a rule is judged by. `singly`: each contact by itself, with look-ups that are no joins."""

    workspace_id: UUID
    now: datetime
    singly: bool = False

    def rows(self, table: Any) -> sa.Select[Any]:
        """The contact's rows of another table."""
        rows: sa.Select[Any] = (
            sa.select(sa.literal_column("1")).select_from(table).where(table.c.workspace_id == self.workspace_id)
        )
        own, contact = table.c.contact_id, contacts.c.id
        if self.singly:  # only the index that begins with the contact has this order
            return rows.where(own.between(contact, contact)).order_by(own).correlate(contacts)
        return rows.where(own == contact).correlate(contacts)

    def some(self, rows: sa.Select[Any], times: int = 1) -> sa.ColumnElement[bool]:
        """Whether there are so many rows."""
        if times == 1 and not self.singly:
            return rows.exists()
        return rows.offset(sa.bindparam("skip", times - 1, sa.BigInteger(), unique=True)).limit(1).exists()
