"""What is concluded about contacts: the one form of their city, and how far they have been looked at."""

from alembic import op
from common.db.plumbing import protect

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = """
alter table contacts
  add column city_normalised text,
  -- how many of its revisions are what was concluded, not what somebody did
  add column enrichments integer not null default 0;

create table enrichment_states (
  workspace_id uuid primary key,
  rules integer not null,
  seen_until timestamptz not null
);
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", "enrichment_states")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
