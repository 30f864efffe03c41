"""Who entered and left which segment, last."""

from alembic import op
from common.db.plumbing import protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = """
create table segment_moves (
  workspace_id uuid not null,
  contact_id uuid not null,
  segment_id uuid not null,
  inside boolean not null,
  cause text not null,
  at timestamptz not null,
  revision bigint not null,
  primary key (workspace_id, contact_id, segment_id)
);
"""


def upgrade() -> None:
    for statement in (TABLE, *protect("analytics", "segment_moves")):
        op.execute(statement)
