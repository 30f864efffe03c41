"""What contacts bought or did that is worth money."""

from alembic import op
from common.db.plumbing import protect

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Of an erased person the amount stays, for the sums, and nothing that says whose it was.
TABLE = """
create table conversions (
  workspace_id uuid not null,
  id uuid not null,
  external_id text,
  contact_id uuid,
  campaign_id uuid,
  amount numeric(18, 4) not null check (amount >= 0),
  refunded numeric(18, 4) not null default 0 check (refunded between 0 and amount),
  currency text not null,
  occurred_at timestamptz not null,
  voided boolean not null default false,
  revision bigint not null default 1,
  recorded_at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create index conversions_of_contact on conversions (workspace_id, contact_id, id) where contact_id is not null;
"""


def upgrade() -> None:
    for statement in (TABLE, *protect("analytics", "conversions")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
