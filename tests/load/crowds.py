"""Many contacts, made in the database itself, as an import leaves them: triggers, consent, statistics."""

from uuid import UUID

from common.db.pool import Database
from common.ids import purpose_id

CITIES = ["تهران", "اصفهان", "شیراز", "مشهد", "الرياض", "دبي", "القاهرة", "الدوحة", "London", "Berlin"]
PART = 100_000

_CONTACTS = """
insert into contacts (workspace_id, id, email, email_normalised, address_hash, domain_hash, first_name, last_name,
                      language, timezone, country, attributes, tags, score)
select $1, gen_random_uuid(), 'person' || n || '@example.com', 'person' || n || '@example.com',
       sha256(('person' || n)::bytea), sha256('example.com'), 'مریم', 'کریمی', (array['fa', 'ar', 'en'])[1 + n % 3],
       'Asia/Tehran', 'IR',
       jsonb_build_object('city', ($4::text[])[1 + n % 10], 'age', 18 + n % 60, 'company', 'Company ' || n % 5000),
       case when n % 49 = 0 then array['vip'] else '{}'::text[] end, n % 100
  from generate_series($2::int, $3::int) n
"""
_CONSENTS = """
insert into consents (workspace_id, contact_id, purpose_id, status)
select workspace_id, id, $2, case when score < 3 then 'unsubscribed' else 'subscribed' end
  from contacts where workspace_id = $1
"""


async def fill(db: Database, workspace_id: UUID, number: int) -> None:
    """Make so many contacts; city and age are indexed, company is not; three of a hundred have unsubscribed."""
    async with db.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into attribute_definitions (workspace_id, name, type, indexed) values"
            " ($1, 'city', 'text', true), ($1, 'age', 'number', true), ($1, 'company', 'text', false)",
            workspace_id,
        )
    for first in range(0, number, PART):
        async with db.transaction(workspace_id) as tx:
            await tx.execute("set local statement_timeout = 0")
            last = min(first + PART, number) - 1
            await tx.execute(_CONTACTS, workspace_id, first, last, CITIES, timeout=600)
    async with db.transaction(workspace_id) as tx:
        await tx.execute("set local statement_timeout = 0")
        await tx.execute(_CONSENTS, workspace_id, purpose_id(workspace_id, "newsletter"), timeout=600)
