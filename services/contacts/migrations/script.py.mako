"""${message}"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
# Does code of down_revision not run on this schema? Then `oldest` names the oldest that does.


def upgrade() -> None:
    ${upgrades if upgrades else "op.execute('')"}
