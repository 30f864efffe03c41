"""What came back, by time, for those who list it."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index returns_of_workspace on returns (workspace_id, at desc, id desc)")


def downgrade() -> None:
    op.execute("drop index returns_of_workspace")
