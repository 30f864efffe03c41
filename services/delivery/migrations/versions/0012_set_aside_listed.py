"""Mail that was set aside belongs to the workspace that it came to, where that is proven; else to the operator."""

from alembic import op
from common.db.plumbing import protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# No workspace: nobody's over HTTP, as its API's role sees only rows of the caller's. External: its head is read alone.
WHOSE = """
alter table set_aside add column workspace_id uuid;
alter table set_aside alter column mail set storage external;
create index set_aside_of_workspace on set_aside (workspace_id, at desc, id desc) where workspace_id is not null;
grant select, delete on set_aside to delivery_api;
"""


def upgrade() -> None:
    for statement in (WHOSE, *protect("delivery", "set_aside")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
