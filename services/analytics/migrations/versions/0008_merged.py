"""Contacts that became others: what they did counts for whom they became."""

from alembic import op
from common.db.plumbing import protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MERGED = """
create table merged (
  workspace_id uuid not null,
  merged_id uuid not null,
  contact_id uuid not null,
  active boolean not null,
  revision bigint not null,
  primary key (workspace_id, merged_id)
);
create index merged_contact on merged (workspace_id, contact_id) where active;
"""


def upgrade() -> None:
    op.execute(MERGED)
    for statement in protect("analytics", "merged"):
        op.execute(statement)
