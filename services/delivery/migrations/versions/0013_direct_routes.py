"""Routes without a host of their own: mail goes to the mail servers of recipients' domains."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table routes add column kind text not null default 'relay' check (kind in ('relay', 'direct'))")


def downgrade() -> None:
    op.execute("delete from routes where kind = 'direct'")
    op.execute("alter table routes drop column kind")
