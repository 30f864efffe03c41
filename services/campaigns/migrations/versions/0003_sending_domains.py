"""What delivery tells of sending domains, what a start warns of, and whether it is refused instead."""

from alembic import op
from common.db.plumbing import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
create table domains (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  verified boolean not null,
  subdomains boolean not null,
  failing text[] not null,
  deleted boolean not null,
  revision bigint not null,
  primary key (workspace_id, id)
);
create index domains_by_name on domains (workspace_id, name) where not deleted;

alter table workspaces add column sender_policy text not null default 'warn'
  check (sender_policy in ('warn', 'refuse'));
alter table campaigns add column warnings jsonb not null default '[]';
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("campaigns", "domains")):
        op.execute(statement)
