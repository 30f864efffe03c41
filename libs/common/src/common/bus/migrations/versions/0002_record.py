"""Who reads the schema's revision, and that nobody but a migration writes it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GRANTS = """
do $$
declare role_name text;
begin
  for role_name in select rolname from pg_roles where rolname in ('bus_client') loop
    execute format('revoke all on alembic_version, schema_code from %I', role_name);
    execute format('grant select on alembic_version, schema_code to %I', role_name);
  end loop;
end $$;
"""


def upgrade() -> None:
    op.execute(GRANTS)
