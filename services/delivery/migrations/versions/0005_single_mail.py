"""What a message went through before its last attempt; the erasure of people whom only their address names."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table messages add column history jsonb")
    op.execute(
        """
        create function attempt_note(attempt integer, status text, class text, code integer, enhanced text, said text)
        returns jsonb language sql stable as $$
          select jsonb_build_array(jsonb_build_object('attempt', attempt, 'at', now(), 'status', status, 'reason',
                                   nullif(class, ''), 'code', code, 'enhanced', enhanced, 'text', said))
        $$
        """
    )
    op.execute(
        """
        create index messages_of_address on messages (workspace_id, address_hash)
          where kind <> 'campaign' and contact_id is null and address_hash is not null
        """
    )


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
