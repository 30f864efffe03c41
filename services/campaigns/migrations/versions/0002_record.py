"""Who reads the schema's revision, and that nobody but a migration writes it."""

from alembic import op
from common.db.plumbing import keep_record

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in keep_record("campaigns_api", "campaigns_worker"):
        op.execute(statement)
