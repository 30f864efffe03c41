"""What people did is counted from the index alone: whether a machine did it is there too."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index activity_person on activity (workspace_id, contact_id, type, at, machine)")
    op.execute("drop index activity_contact")


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
