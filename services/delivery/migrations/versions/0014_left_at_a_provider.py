"""People who leave at their mail provider's page come back as what else does."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table returns drop constraint returns_kind_check;
        alter table returns add constraint returns_kind_check
          check (kind in ('hard', 'soft', 'complaint', 'auto-reply', 'delivered', 'reply', 'unsubscribed')) not valid;
        alter table returns validate constraint returns_kind_check;
    """)
