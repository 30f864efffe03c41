"""A warm-up plan goes with its domain; since when a campaign runs again, after a pause."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        alter table warmups add foreign key (workspace_id, domain)
          references domains (workspace_id, name) on delete cascade
        """
    )
    op.execute("alter table mailings add column resumed_at timestamptz")


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
