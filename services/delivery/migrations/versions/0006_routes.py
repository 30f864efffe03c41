"""Ways out: routes of workspaces, what all mailers together may send over each, and warm-up plans."""

from alembic import op
from common.db.plumbing import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The platform's own route has no row here: its id, and its workspace's, are the nil UUID.
ROUTES = """
create table routes (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  host text not null,
  port integer not null,
  tls text not null check (tls in ('implicit', 'starttls', 'none')),
  username text,
  password bytea,
  priority smallint not null,
  weight smallint not null,
  enabled boolean not null,
  limits jsonb not null,
  failing_since timestamptz,
  failure text,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create unique index routes_by_name on routes (workspace_id, name);
alter table messages add column route_id uuid;
"""

# Times are seconds since 1970 by the database's clock. next_slot: when the next message may go.
BUDGETS = """
create table route_budgets (
  workspace_id uuid not null,
  route_id uuid not null,
  provider text not null,
  next_slot double precision not null default 0,
  ceiling double precision,
  base_rate double precision,
  refused_at double precision,
  paused_until double precision not null default 0,
  pause_s double precision not null default 0,
  primary key (workspace_id, route_id, provider)
) with (fillfactor = 50);

create table route_connections (
  workspace_id uuid not null,
  route_id uuid not null,
  provider text not null,
  mailer_id uuid not null,
  mailer_epoch bigint not null,
  n integer not null,
  primary key (workspace_id, route_id, provider, mailer_id)
) with (fillfactor = 50);
"""

# One day of a plan ends when a later one begins, and counts when something was sent on it.
WARMUPS = """
create table warmups (
  workspace_id uuid not null,
  domain text not null,
  daily integer[] not null,
  number integer not null default 1,
  day date not null,
  used integer not null default 0,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, domain)
) with (fillfactor = 50);
"""


def upgrade() -> None:
    for statement in (ROUTES, BUDGETS, WARMUPS):
        op.execute(statement)
    for statement in protect("delivery", "routes", "route_budgets", "route_connections", "warmups"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward: what was sent over a route would be forgotten")
