"""People's answers on their way to who is to read them."""

from alembic import op
from common.db.plumbing import protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# id: the return's. Gone once the server took it.
FORWARDS = """
create table forwards (
  workspace_id uuid not null,
  id uuid not null,
  recipient text not null,
  mail bytea not null,
  attempts integer not null default 0,
  next_at timestamptz not null default now(),
  at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create index forwards_due on forwards (next_at);
"""


def upgrade() -> None:
    for statement in (FORWARDS, *protect("delivery", "forwards")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("answers that wait are kept")
