"""What is concluded about contacts: filled afterwards, told, and given way to what somebody says."""

from common.contracts.leads import LeadUpdatedV1
from common.outbox.writer import IMPORT_LANE
from common.testing.deliver import outbox_events
from contacts.use_cases.enrichment import enrich, enrich_everywhere

from tests.integration.contacts.service import csv_of, import_file
from tests.integration.contacts.test_import_undo import undo


async def test_contacts_are_filled_with_where_each_value_comes_from_and_what_people_give_stands(
    client, contacts_db, workspace_id
):
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute("insert into workspaces (workspace_id) values ($1)", workspace_id)
    await import_file(
        client,
        contacts_db,
        csv_of("info@shop.example.com,+98 912 345 6789,تهران,", "b@gmail.com,,,DE", header="Email,Phone,City,Country"),
        mapping={"Email": "email", "Phone": "phone", "City": "city", "Country": "country"},
    )
    found = {one["email"]: one for one in (await client.get("/v1/contacts")).json()["items"]}
    path = f"/v1/contacts/{found['info@shop.example.com']['id']}"
    await enrich_everywhere(contacts_db.worker)

    filled = (await client.get(path)).json()
    assert [filled[name] for name in ("country", "company", "city", "city_normalised", "flags")] == [
        "IR", "Example", "تهران", "Tehran", ["role"],
    ]  # fmt: skip
    assert {name: why["source"] for name, why in filled["provenance"].items()} == {
        "country": "phone", "company": "email", "city_normalised": "city", "flags": "email",
    }  # fmt: skip
    assert all(why["rule"] and why["at"] for why in filled["provenance"].values())
    (told,) = [e for e in await outbox_events(contacts_db.worker) if isinstance(e.data, LeadUpdatedV1)]
    assert (told.data.country, told.data.company, told.data.revision) == ("IR", "Example", filled["revision"])
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select lane from outbox where type like 'lead.updated%'") == IMPORT_LANE
    other = (await client.get(f"/v1/contacts/{found['b@gmail.com']['id']}")).json()
    assert (other["country"], other["company"], other["flags"], other["revision"]) == ("DE", None, ["freemail"], 1)

    # A person's word takes a value over; what is still concluded follows its source.
    await client.patch(path, json={"country": "IR", "email": "sara@acme.example", "city": None})
    await enrich(contacts_db.worker, workspace_id)
    await client.patch(path, json={"phone": "+44 20 7946 0018"})
    await enrich(contacts_db.worker, workspace_id)
    after = (await client.get(path)).json()
    assert (after["country"], after["company"], after["city_normalised"]) == ("IR", "Acme", None)
    assert after["provenance"].keys() == {"company"}
    await enrich(contacts_db.worker, workspace_id)
    assert (await client.get(path)).json() == after


async def test_who_was_only_filled_goes_when_the_import_is_undone(client, contacts_db, workspace_id):
    made = await import_file(
        client, contacts_db, csv_of("a@acme.example,+98 912 345 6789", header="Email,Phone"),
        mapping={"Email": "email", "Phone": "phone"},
    )  # fmt: skip
    await enrich(contacts_db.worker, workspace_id)
    (contact,) = (await client.get("/v1/contacts")).json()["items"]
    assert (contact["country"], contact["revision"]) == ("IR", 2)
    assert (await undo(client, contacts_db, made["id"]))["removed"] == 1
    assert (await client.get("/v1/contacts")).json()["items"] == []
