"""Nothing that is kept of a person is left out when they ask for it, or left behind when they are erased."""

import importlib
import json
import re

import pytest
from common.contracts.leads import LeadErasedV1, LeadExportRequestedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.personal_data import PART_BYTES, parts
from common.testing.deliver import deliver, outbox_events

from tests.contract.services import SERVICES, consumers_of
from tests.fixtures.databases import service_database

# Tables about a person that a person is not told of, and why.
NOT_TOLD = {
    "contacts": {
        "contact_value": "an index of what `contacts` has",
        "contact_words": "an index of the words in names",
        "tombstones": "only of those who were erased",
        "personal_data": "the answer itself",
        "confirmation_mails": "when an address was last asked to confirm, by its hash, for a day",
        "import_stage": "rows of a file that are not judged yet, for minutes",
    },
    "campaigns": {},
    "delivery": {},
    "analytics": {
        "tombstones": "only of those who were erased",
        "merged": "who became whom, which contacts tells",
        "score_due": "when a score is reckoned next, for seconds",
        "clicks": "the clicks that `facts` has, for judging machines",
    },
}
_ABOUT = """
select distinct c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
   and a.attname in ('contact_id', 'address_hash', 'email_normalised')
"""


async def tables_about_people(service: str, postgres) -> set[str]:
    async with service_database(postgres, service) as database, database.worker.connection() as connection:
        return {row["relname"] for row in await connection.fetch(_ABOUT)}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_table_about_a_person_is_told_or_has_a_reason(service: str, postgres) -> None:
    statements = importlib.import_module(f"{service}.db.personal").STATEMENTS
    read = {name for statement in statements.values() for name in re.findall(r"(?:from|join) (\w+)", statement)}
    about = await tables_about_people(service, postgres)
    assert about - read == NOT_TOLD[service].keys() & about
    assert NOT_TOLD[service].keys() <= about, "a reason for a table that is gone"


@pytest.mark.parametrize("service", [one for one in SERVICES if one != "contacts"])
async def test_a_service_answers_with_the_last_part_marked_even_if_it_keeps_nothing(service: str, postgres) -> None:
    asked = LeadExportRequestedV1(contact_id=new_id(), request_id=new_id(), address_hashes=["ab" * 32])
    async with service_database(postgres, service) as database:
        for consumer in consumers_of(service):
            event = Outgoing(new_id(), asked)
            await deliver(database.worker, consumer, [event, event])
        told = [event.data for event in await outbox_events(database.worker, "lead.exported")]
    assert [(one.service, one.n, one.last, one.tables) for one in told] == [(service, 1, True, {})]


async def test_much_is_told_in_parts_that_events_can_carry(postgres) -> None:
    """Also when one row is larger than a part."""
    large = "x" * (PART_BYTES * 2 // 3)
    statements = {
        "few": f"select jsonb_build_object('n', n, 'text', '{large}') from person, generate_series(1, 3) n",
        "giant": f"select jsonb_build_object('text', '{large * 2}') from person",
        "many": "select jsonb_build_object('n', n) from person, generate_series(1, 1000) n",
    }
    async with service_database(postgres, "campaigns") as database, database.worker.transaction() as tx:
        found = [part async for part in parts(tx, statements, new_id(), [new_id()], [])]
    assert max(len(json.dumps(part)) for part in found) < PART_BYTES * 2
    rows = {name: [row for part in found for row in part.get(name, [])] for name in statements}
    assert [len(rows[name]) for name in statements] == [3, 1, 1000]
    assert len(found) > 3


@pytest.mark.parametrize("service", ["delivery", "analytics", "campaigns"])
async def test_an_erased_person_is_told_of_nothing(service: str, postgres) -> None:
    contact_id, workspace_id = new_id(), new_id()
    erased = LeadErasedV1(contact_id=contact_id, request_id=new_id(), address_hashes=[])
    asked = LeadExportRequestedV1(contact_id=contact_id, request_id=new_id(), address_hashes=[])
    async with service_database(postgres, service) as database:
        for consumer in consumers_of(service):
            await deliver(database.worker, consumer, [Outgoing(workspace_id, erased), Outgoing(workspace_id, asked)])
        (told,) = [event.data for event in await outbox_events(database.worker, "lead.exported")]
    assert told.tables == {}
