"""What became of messages that bounced after they were sent."""

from alembic import op
from common.db.plumbing import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BOUNCES = """
create table bounces (
  workspace_id uuid not null,
  message_id uuid not null,
  campaign_id uuid not null,
  bounce text not null,
  reason text not null,
  at timestamptz not null,
  event_id uuid not null,
  primary key (workspace_id, message_id)
);
create index bounces_of_campaign on bounces (workspace_id, campaign_id, bounce, reason);
"""


def upgrade() -> None:
    for statement in (BOUNCES, *protect("analytics", "bounces")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what is counted stays counted")
