"""When the log was sealed, and when every group had read it to its end. No release appends to a sealed log."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SEAL = """
alter table log_head add column sealed_at timestamptz, add column drained_at timestamptz;
create function log_sealed() returns trigger language plpgsql as $$
begin
  raise exception 'the log is sealed' using errcode = 'object_not_in_prerequisite_state';
end $$;
create trigger log_sealed before update of next_id on log_head for each row when (old.sealed_at is not null)
  execute function log_sealed();
"""


def upgrade() -> None:
    op.execute(SEAL)
