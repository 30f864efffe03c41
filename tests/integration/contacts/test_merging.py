"""Two contacts that are one person: suggested, merged by a person's decision, and told apart again."""

from typing import Any
from uuid import UUID

import pytest
from common.contracts.email import EmailBouncedV1, EmailOpenedV1, EmailUnsubscribedV1
from common.contracts.leads import LeadMergedV1
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from contacts.db import merges
from contacts.use_cases.duplicates import find_everywhere
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.contacts.test_blocks_and_erasure import main

CONSENT = {"status": "subscribed", "source": "form"}


async def person(client, email: str, consent: dict[str, Any] | None = CONSENT, **fields: Any) -> str:
    body = {"email": email, **fields, **({"consent": consent} if consent else {})}
    answer = await client.post("/v1/contacts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def merge(client, kept: str, gone: str, status: int = 201) -> dict[str, Any]:
    answer = await client.post("/v1/contacts/merges", json={"contact_id": kept, "merged_contact_id": gone})
    assert answer.status_code == status, answer.text
    return answer.json()


async def undo(client, made: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await client.post(f"/v1/contacts/merges/{made['id']}/undo")
    assert answer.status_code == status, answer.text
    return answer.json()


async def see(client, contact_id: str) -> dict[str, Any]:
    return (await client.get(f"/v1/contacts/{contact_id}")).json()


def status(contact: dict[str, Any]) -> dict[str, str]:
    return {one["purpose"]: one["status"] for one in contact["consents"]}


def mailed(workspace_id: UUID, contact_id: str) -> dict[str, Any]:
    return {
        "message_id": new_id(), "kind": "campaign", "contact_id": UUID(contact_id), "campaign_id": new_id(),
        "purpose_id": purpose_id(workspace_id, "newsletter"),
    }  # fmt: skip


def opened(workspace_id: UUID, contact_id: str) -> Outgoing:
    data = EmailOpenedV1(**mailed(workspace_id, contact_id), machine=False)
    return Outgoing(workspace_id, data)


async def activity(database) -> list[str]:
    async with database.worker.connection() as connection:
        return [str(row["contact_id"]) for row in await connection.fetch("select contact_id from activity order by at")]


@pytest.fixture
async def two(client):
    await client.post("/v1/attributes", json={"name": "city", "type": "text"})
    await client.post("/v1/attributes", json={"name": "size", "type": "text"})
    kept = await person(
        client, "sara@example.com", first_name="سارا", tags=["vip"], attributes={"city": "تهران"}, stage="lead"
    )
    gone = await person(
        client, "s.ahmadi@example.org", last_name="احمدی", external_id="crm-7", tags=["expo"], phone="+98 912 123 4567",
        attributes={"city": "Tehran", "size": "L"}, stage="customer",
    )  # fmt: skip
    return kept, gone


async def test_what_the_kept_contact_lacks_comes_from_the_other_and_what_was_theirs_is_its_own(
    client, contacts_db, workspace_id, two
):
    kept, gone = two
    list_id = (await client.post("/v1/lists", json={"name": "expo"})).json()["id"]
    await client.post(f"/v1/lists/{list_id}/members", json={"contact_ids": [gone]})
    await deliver(contacts_db.worker, main(), [opened(workspace_id, gone)])
    made = await merge(client, kept, gone)
    found = await see(client, kept)
    assert (found["email"], found["first_name"], found["last_name"]) == ("sara@example.com", "سارا", "احمدی")
    assert (found["external_id"], found["phone"], found["stage"]) == ("crm-7", "+98 912 123 4567", "customer")
    assert (found["attributes"], found["tags"]) == ({"city": "تهران", "size": "L"}, ["expo", "vip"])
    missing = await client.get(f"/v1/contacts/{gone}")
    assert (missing.status_code, missing.json()["params"]["merged_into"]) == (404, kept)
    members = (await client.get(f"/v1/lists/{list_id}/members")).json()["items"]
    assert [one["contact_id"] for one in members] == [kept]
    assert await activity(contacts_db) == [kept]
    listed = (await client.get(f"/v1/contacts/{kept}/merges")).json()
    assert [(one["id"], one["merged_contact_id"]) for one in listed] == [(made["id"], gone)]
    (told,) = [one.data for one in await outbox_events(contacts_db.worker, "lead.merged")]
    assert told == LeadMergedV1(merged_id=UUID(gone), contact_id=UUID(kept), active=True, revision=1)


async def test_what_is_told_of_the_merged_contact_later_is_the_kept_one_s(client, contacts_db, workspace_id, two):
    kept, gone = two
    await merge(client, kept, gone)
    left = EmailUnsubscribedV1(**mailed(workspace_id, gone), method="one_click", scope="purpose", block_id=new_id())
    bounced = EmailBouncedV1(
        **mailed(workspace_id, gone), bounce="hard", reason="bad_mailbox", provider="x", block_id=new_id()
    )
    events = [opened(workspace_id, gone), Outgoing(workspace_id, left), Outgoing(workspace_id, bounced)]
    await deliver(contacts_db.worker, main(), events)
    found = await see(client, kept)
    assert status(found) == {"newsletter": "unsubscribed"}
    assert set(await activity(contacts_db)) == {kept}
    assert found["suppressed"] is False, "the dead mailbox was the other's"
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from suppressions where reason = 'bad_mailbox'") == 1


@pytest.mark.parametrize(
    ("of_kept", "of_gone", "after"),
    [
        ("subscribed", "unsubscribed", "unsubscribed"),
        ("unsubscribed", "subscribed", "unsubscribed"),
        ("pending", "subscribed", "pending"),
        (None, "subscribed", "subscribed"),
        ("subscribed", None, "subscribed"),
    ],
)
async def test_a_merge_never_mails_who_left_and_raises_no_answer(client, of_kept, of_gone, after):
    def said(status):
        return {"status": status, "source": "form"} if status else None

    kept = await person(client, "a@example.com", said(of_kept))
    gone = await person(client, "b@example.com", said(of_gone))
    await merge(client, kept, gone)
    assert status(await see(client, kept)) == {"newsletter": after}
    ledger = (await client.get("/v1/consents", params={"contact_id": kept})).json()["items"]
    assert {one["source"] for one in ledger} <= {"form", "merge"}


async def test_who_wanted_no_mail_at_all_under_one_address_gets_none_under_the_other(client):
    kept, gone = await person(client, "a@example.com"), await person(client, "b@example.com")
    await client.post("/v1/suppressions", json={"email": "b@example.com", "reason": "complaint"})
    await merge(client, kept, gone)
    assert status(await see(client, kept)) == {"newsletter": "unsubscribed"}


async def test_a_merge_is_taken_back_whole(client, contacts_db, workspace_id, two):
    kept, gone = two
    await deliver(contacts_db.worker, main(), [opened(workspace_id, gone), opened(workspace_id, kept)])
    before = [await see(client, one) for one in two]
    made = await merge(client, kept, gone)
    await undo(client, made)
    after = [await see(client, one) for one in two]
    changing = {"revision", "updated_at", "provenance"}
    assert [{k: v for k, v in one.items() if k not in changing and k != "consents"} for one in after] == [
        {k: v for k, v in one.items() if k not in changing and k != "consents"} for one in before
    ]
    assert [status(one) for one in after] == [status(one) for one in before]
    assert sorted(await activity(contacts_db)) == sorted(two)
    told = [one.data for one in await outbox_events(contacts_db.worker, "lead.merged")]
    assert [(one.active, one.revision) for one in told] == [(True, 1), (False, 2)]
    await undo(client, made, 409)
    again = await merge(client, kept, gone)
    told = [one.data for one in await outbox_events(contacts_db.worker, "lead.merged")]
    assert told[-1].revision == 3
    await undo(client, again)


async def test_what_was_changed_since_stays_when_a_merge_is_taken_back(client, two):
    kept, gone = two
    made = await merge(client, kept, gone)
    await client.patch(f"/v1/contacts/{kept}", json={"last_name": "رضایی", "attributes": {"size": "XL"}})
    body = {"contact_id": kept, "status": "unsubscribed", "source": "phone"}
    await client.post("/v1/consents", json=body)
    await undo(client, made)
    one, other = await see(client, kept), await see(client, gone)
    assert (one["last_name"], one["attributes"]["size"]) == ("رضایی", "XL")
    assert (other["last_name"], other["attributes"]["size"]) == ("احمدی", "L")
    assert status(one) == status(other) == {"newsletter": "unsubscribed"}, "who left meanwhile has left for both"


async def test_a_chain_of_merges_names_the_last_and_unwinds_in_order(client, contacts_db, workspace_id):
    a, b, c = [await person(client, f"{one}@example.com") for one in "abc"]
    first = await merge(client, b, a)
    second = await merge(client, c, b)
    await deliver(contacts_db.worker, main(), [opened(workspace_id, a)])
    assert await activity(contacts_db) == [c]
    await undo(client, first, 409)
    await undo(client, second)
    await deliver(contacts_db.worker, main(), [opened(workspace_id, a)])
    assert sorted(await activity(contacts_db)) == sorted([c, b])
    await undo(client, first)
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from contact_aliases") == 0


async def test_erasing_a_person_erases_whom_they_were_merged_from_too(client, contacts_db, workspace_id, two):
    kept, gone = two
    await merge(client, kept, gone)
    answer = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": kept})
    assert answer.status_code == 202
    erased = [one.data for one in await outbox_events(contacts_db.worker, "lead.erased")]
    assert {str(one.contact_id) for one in erased} == {kept, gone}
    assert all(len(one.address_hashes) == 1 for one in erased)
    await deliver(contacts_db.worker, main(), [opened(workspace_id, gone)])
    assert await activity(contacts_db) == []
    async with contacts_db.worker.connection() as connection:
        for table in ("contact_merges", "contact_aliases"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0


async def test_a_person_s_data_is_asked_for_with_all_that_they_were(client, contacts_db, two):
    kept, gone = two
    await merge(client, kept, gone)
    await client.post("/v1/privacy-requests", json={"kind": "export", "contact_id": kept})
    (asked,) = [one.data for one in await outbox_events(contacts_db.worker, "lead.export_requested")]
    assert [str(one) for one in asked.merged_ids] == [gone]
    assert len(asked.address_hashes) == 2


async def test_pairs_are_suggested_by_what_speaks_for_them_and_decided_ones_are_not_again(client, contacts_db):
    one = await person(client, "sara.ahmadi@gmail.com", first_name="سارا", last_name="احمدي", phone="+989121234567")
    two = await person(client, "saraahmadi+news@googlemail.com", first_name="سارا", last_name="احمدی")
    three = await person(client, "work@example.com", phone="+98 (912) 123-4567")
    await person(client, "other@example.com", first_name="سارا", last_name="احمدی")
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("insert into workspaces (workspace_id) select distinct workspace_id from contacts")
    await find_everywhere(contacts_db.worker)
    found = (await client.get("/v1/contacts/duplicates")).json()["items"]
    pairs = [({a["id"], b["id"]}, one["reasons"]) for one in found for a, b in [one["contacts"]]]
    assert pairs == [({one, two}, ["address", "name"]), ({one, three}, ["phone"])]
    body = {"contact_id": one, "other_contact_id": three}
    assert (await client.post("/v1/contacts/duplicates/different", json=body)).status_code == 204
    await merge(client, one, two)
    await find_everywhere(contacts_db.worker)
    assert (await client.get("/v1/contacts/duplicates")).json()["items"] == []


async def test_pages_of_pairs_meet(client, contacts_db):
    for n in range(5):
        for suffix in ("", "+x"):
            await person(client, f"p{n}{suffix}@example.com")
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("insert into workspaces (workspace_id) select distinct workspace_id from contacts")
    await find_everywhere(contacts_db.worker)
    seen, cursor = [], None
    while True:
        answer = (
            await client.get("/v1/contacts/duplicates", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [one["contacts"][0]["id"] for one in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_what_cannot_be_merged_is_refused(client, two):
    kept, gone = two
    assert (await merge(client, kept, kept, 409))["code"] == "cannot_merge"
    unknown = "0198f2aa-0000-7000-8000-000000000001"
    assert (await merge(client, kept, unknown, 404))["code"] == "contact_not_found"
    assert (await undo(client, {"id": unknown}, 404))["code"] == "merge_not_found"
    made = await merge(client, kept, gone)
    await person(client, "s.ahmadi@example.org")
    answer = await undo(client, made, 409)
    assert answer["code"] == "cannot_merge"
    assert (await see(client, kept))["last_name"] == "احمدی", "nothing of it was done"


def test_every_table_about_a_contact_moves_with_it_or_has_a_reason() -> None:
    """Against the list that an erasure empties: whoever adds a table there decides here too."""
    from contacts.db.privacy import BLANK

    stay = {
        "contacts": "merged itself",
        "consents": "stay, for their revisions; the kept contact gets lines of its own",
        "list_members": "move, and are remembered",
        "confirmations": "stay: they asked the owner of the other address, not of the kept one",
        "contact_money": "is reckoned anew from the conversions, which move",
        "segment_snapshot_members": "tell who was inside, whoever that has become",
        "segment_members": "are judged anew, as whatever else changes them",
        "contact_merges": "tells of it",
        "contact_aliases": "tells of it",
        "source_deliveries": "as they came, found by address",
        "parked_events": "are stored with whomever the contact has become",
        "visitor_events": "are nobody's until they are activity, and found by their visitor",
        "duplicate_pairs": "are decided by it",
        "personal_data": "answers of before stay with whom they were for",
        "import_rejects": "rows of a file, by address",
        "import_changes": "stay, for undoing the import once the merge is taken back",
        "import_undo_kept": "stay with the import whose undoing they tell of",
    }
    tables = {statement.partition("delete from ")[2].split()[0] for statement in BLANK if "delete from" in statement}
    assert tables - stay.keys() - merges.MOVED.keys() == set()


texts = st.sampled_from([None, "a", "b"])
people = st.fixed_dictionaries(
    {
        "first_name": texts, "last_name": texts, "company": texts, "city": texts,
        "tags": st.lists(st.sampled_from(["x", "y", "z"]), unique=True, max_size=3),
        "attributes": st.dictionaries(st.sampled_from(["k1", "k2"]), st.sampled_from(["v", "w"]), max_size=2),
        "stage": st.sampled_from(["subscriber", "lead", "customer"]),
    }
)  # fmt: skip
consents = st.sampled_from([None, "subscribed", "unsubscribed", "pending"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(one=people, other=people, of_one=consents, of_other=consents)
async def test_to_merge_and_to_take_back_is_to_do_nothing(client, one, other, of_one, of_other):
    for name in ("k1", "k2"):
        await client.post("/v1/attributes", json={"name": name, "type": "text"})
    ids = []
    for fields, consent in ((one, of_one), (other, of_other)):
        said = {"status": consent, "source": "form"} if consent else None
        ids.append(await person(client, f"{new_id()}@example.com", said, **fields))
    before = [await see(client, contact_id) for contact_id in ids]
    await undo(client, await merge(client, *ids))
    after = [await see(client, contact_id) for contact_id in ids]
    for was, now in zip(before, after, strict=True):
        assert status(was) == status(now) or not status(was)
        assert {name: was[name] for name in one} == {name: now[name] for name in one}
        assert was["email"] == now["email"]
