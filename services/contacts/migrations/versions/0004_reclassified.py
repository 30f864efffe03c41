"""Clicks that turned out to be machines', or people's after all: their events come before the click's or after."""

from alembic import op
from common.db.plumbing import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = """
create table reclassified (
  workspace_id uuid not null,
  event_id uuid not null,
  machine boolean not null,
  revision bigint not null,
  primary key (workspace_id, event_id)
);
"""


def upgrade() -> None:
    for statement in (TABLE, *protect("contacts", "reclassified")):
        op.execute(statement)
