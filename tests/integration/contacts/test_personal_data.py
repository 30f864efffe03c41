"""A person's own data: collected from every service, given as one file, and gone with them."""

import io
import itertools
import json
import zipfile
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from common.contracts.leads import LeadExportedV1
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from contacts.db import privacy
from contacts.use_cases import personal_data

from tests.integration.contacts.test_blocks_and_erasure import _person, main


async def asked(client, contact: UUID) -> dict[str, Any]:
    answer = await client.post("/v1/privacy-requests", json={"kind": "export", "contact_id": str(contact)})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(contact: UUID, request: dict[str, Any], service: str, n: int = 1, *, last: bool = True, **tables: Any):
    return LeadExportedV1(
        contact_id=contact, request_id=UUID(request["id"]), service=service, n=n, last=last, tables=tables
    )


def answers(contact: UUID, request: dict[str, Any]) -> list[LeadExportedV1]:
    return [
        told(contact, request, "campaigns", leads=[{"first_name": "سارا"}]),
        told(contact, request, "delivery", 1, last=False, messages=[{"status": "sent"}]),
        told(contact, request, "delivery", 2, messages=[{"status": "failed", "smtp_text": "=1+1"}], blocks=[]),
        told(contact, request, "analytics"),
    ]


async def files(client, request: dict[str, Any]) -> dict[str, str]:
    answer = await client.get(f"/v1/privacy-requests/{request['id']}/file")
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name).decode("utf-8-sig") for name in archive.namelist()}


async def test_parts_in_any_order_and_doubled_make_one_file(client, contacts_db, workspace_id):
    contact = await _person(client, "sara@example.com", first_name="سارا", tags=["vip"])
    for order in itertools.islice(itertools.permutations(range(4)), 0, 24, 5):
        request = await asked(client, contact)
        assert [one["service"] for one in request["services"] if one["done_at"]] == ["contacts"]
        early = await client.get(f"/v1/privacy-requests/{request['id']}/file")
        assert (early.status_code, early.json()["code"]) == (409, "still_collecting")
        events = [Outgoing(workspace_id, answers(contact, request)[n]) for n in order]
        for event in [*events, *events]:
            await deliver(contacts_db.worker, main(), [event])
        assert (await client.get(f"/v1/privacy-requests/{request['id']}")).json()["status"] == "completed"
        found = await files(client, request)
        assert json.loads(found["contacts/contacts.json"])[0]["email"] == "sara@example.com"
        assert json.loads(found["contacts/consent_records.json"])[0]["status"] == "subscribed"
        assert [one["status"] for one in json.loads(found["delivery/messages.json"])] == ["sent", "failed"]
        assert found["delivery/messages.csv"].splitlines() == ["status,smtp_text", "sent,", "failed,'=1+1"]
    (event, *_) = await outbox_events(contacts_db.worker, "lead.export_requested")
    assert event.data.contact_id == contact
    assert len(event.data.address_hashes) == 1


async def test_what_was_collected_goes_with_the_person_and_comes_back_by_no_late_event(
    client, contacts_db, workspace_id
):
    contact = await _person(client)
    request = await asked(client, contact)
    first, *late = answers(contact, request)
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, first)])
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(contact)})
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, one) for one in late])
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from personal_data") == 0
    answer = await client.get(f"/v1/privacy-requests/{request['id']}/file")
    assert answer.status_code in (404, 409)


async def test_it_is_kept_for_thirty_days(client, contacts_db, workspace_id, monkeypatch):
    contact = await _person(client)
    request = await asked(client, contact)
    events = [Outgoing(workspace_id, one) for one in answers(contact, request)]
    await deliver(contacts_db.worker, main(), events)
    await personal_data.forget_fetched(contacts_db.worker)
    assert await files(client, request)
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("update personal_data set at = now() - $1::interval", timedelta(days=31))
    await personal_data.forget_fetched(contacts_db.worker)
    answer = await client.get(f"/v1/privacy-requests/{request['id']}/file")
    assert (answer.status_code, answer.json()["code"]) == (404, "privacy_request_not_found")


async def test_an_erasure_has_no_file(client):
    contact = await _person(client)
    answer = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(contact)})
    assert (await client.get(f"/v1/privacy-requests/{answer.json()['id']}/file")).status_code == 404


# Rows of a person that stay when they are erased, and why.
KEPT = {
    "confirmation_mails": "for a day, by keyed hash, when the address was last asked: else it could be asked again",
    "tombstones": "their id and keyed hash, so that no late event or import brings them back",
    "consent_records": "what was agreed to, with nothing in it that names them",
    "privacy_requests": "that they asked, and when it was done",
    "audience_members": "ids only: books of campaigns stay closed",
    "contact_value": "follows `contacts` by its triggers",
    "contact_words": "go with `contacts`, by a foreign key",
    "import_stage": "the import itself leaves erased people out, and clears it",
}


async def test_every_table_about_a_person_is_emptied_of_them_or_has_a_reason(postgres):
    from tests.contract.test_personal_data import tables_about_people

    emptied = {table for table in await tables_about_people("contacts", postgres) if table not in KEPT}
    statements = "\n".join(privacy.BLANK)
    assert {table for table in emptied if f"delete from {table} " not in statements} == set()


@pytest.mark.parametrize("kind", ["erase", "export"])
async def test_nobody_asks_for_somebody_who_is_not_there(client, kind):
    unknown = "0198f2aa-0000-7000-8000-000000000001"
    answer = await client.post("/v1/privacy-requests", json={"kind": kind, "contact_id": unknown})
    assert (answer.status_code, answer.json()["code"]) == (404, "contact_not_found")
