"""What delivery says its ledger came to, beside which analytics' own counts are held."""

from alembic import op
from common.db.plumbing import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LEDGER_TOLD = """
create table ledger_told (
  workspace_id uuid not null,
  campaign_id uuid not null,
  revision bigint not null,
  final boolean not null,
  sent bigint not null,
  failed bigint not null,
  suppressed bigint not null,
  uncertain bigint not null,
  expired bigint not null,
  at timestamptz not null,
  primary key (workspace_id, campaign_id)
);
create index ledger_told_lately on ledger_told (at) where final;
"""


def upgrade() -> None:
    for statement in (LEDGER_TOLD, *protect("analytics", "ledger_told")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
