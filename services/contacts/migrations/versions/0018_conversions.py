"""The conversions that contact_money is reckoned from."""

from alembic import op
from common.db.plumbing import protect

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# `counts`: not taken back, nor given back whole.
TABLE = """
create table conversions (
  workspace_id uuid not null,
  id uuid not null,
  contact_id uuid not null,
  amount numeric not null,  -- what was not given back
  currency text not null,
  at timestamptz not null,
  counts boolean not null,
  revision bigint not null,
  primary key (workspace_id, id)
);
create index conversions_of_contact on conversions (workspace_id, contact_id, currency);
"""


def upgrade() -> None:
    for statement in (TABLE, *protect("contacts", "conversions")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
