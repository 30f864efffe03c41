"""Whether bounces of a sending domain come back by a name of its own."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table domains add column returns boolean not null default false")
