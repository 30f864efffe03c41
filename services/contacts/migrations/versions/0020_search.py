"""Search by words, also misspelt ones: a dictionary of the words in contacts' names, and whose they are."""

from alembic import op
from common.db.plumbing import protect

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = """
-- Arrays with an inverted index would be smaller, but their operators may not be used before row-level security has
-- looked at each row; those of keys may.
create table search_words (
  workspace_id uuid not null,
  word text collate "C" not null,
  id bigint generated always as identity unique,
  primary key (workspace_id, word)
);

-- Hashes of a word with a letter left out: a misspelt word shares one with the right one (ADR 0033).
create table search_near (
  workspace_id uuid not null,
  hash integer not null,
  word_id bigint not null references search_words (id) on delete cascade,
  primary key (workspace_id, hash, word_id)
);
create index search_near_word on search_near (word_id);

-- Whose words they are. They go with the contact.
create table contact_words (
  workspace_id uuid not null,
  word_id bigint not null references search_words (id),
  contact_id uuid not null,
  primary key (workspace_id, word_id, contact_id),
  foreign key (workspace_id, contact_id) references contacts (workspace_id, id) on delete cascade
);
create index contact_words_contact on contact_words (workspace_id, contact_id, word_id);

-- Contacts whose words are to be looked at. A row tells of up to 2,000.
create table search_touched (
  workspace_id uuid not null,
  id bigint generated always as identity,
  contact_ids uuid[] not null,
  at timestamptz not null default now(),
  primary key (workspace_id, id)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000, fillfactor = 100);
"""

FILL = """
insert into search_touched (workspace_id, contact_ids)
select workspace_id, array_agg(id)
  from (select workspace_id, id, (row_number() over (partition by workspace_id order by id) - 1) / 2000 as part
          from contacts) c
 group by workspace_id, part
"""


def upgrade() -> None:
    for statement in (
        TABLES,
        *protect("contacts", "search_words", "search_near", "contact_words", "search_touched"),
        FILL,
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table search_touched, contact_words, search_near, search_words")
