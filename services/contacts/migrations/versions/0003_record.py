"""Who reads the schema's revision, and that nobody but a migration writes it."""

from alembic import op
from common.db.plumbing import keep_record

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in keep_record("contacts_api", "contacts_worker"):
        op.execute(statement)
