"""How mail fares at each mailbox provider."""

from alembic import op
from common.db.plumbing import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
alter table message_status add column provider text;
create index message_status_by_time on message_status (workspace_id, at) where status in ('sent', 'failed');

create table deferrals (
  workspace_id uuid not null,
  event_id uuid not null,
  message_id uuid not null,
  provider text not null,
  at timestamptz not null,
  primary key (workspace_id, event_id)
);
create index deferrals_by_time on deferrals (workspace_id, at);
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("analytics", "deferrals")):
        op.execute(statement)
