"""What every service keeps of a person who asked for it, until they have fetched it."""

from alembic import op
from common.db.plumbing import protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PARTS = """
create table personal_data (
  workspace_id uuid not null,
  request_id uuid not null,
  service text not null,
  n integer not null,
  last boolean not null,
  contact_id uuid not null,
  tables jsonb not null,
  at timestamptz not null default now(),
  primary key (workspace_id, request_id, service, n)
);
create index personal_data_contact on personal_data (workspace_id, contact_id);
create index personal_data_by_age on personal_data (at);
"""


def upgrade() -> None:
    op.execute(PARTS)
    for statement in protect("contacts", "personal_data"):
        op.execute(statement)
