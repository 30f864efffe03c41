"""Definitions of attributes: what values may be, and what becomes of values when a definition changes or goes."""

from common.contracts.leads import LeadUpdatedV1
from common.testing.deliver import outbox_events

from tests.integration.contacts import people
from tests.integration.contacts.people import Someone
from tests.integration.contacts.service import jobs_running

PLANS = {"name": "plan", "type": "text", "label": "Plan", "allowed_values": ["pro", "free", "pro"], "indexed": True}


async def test_a_value_must_be_among_the_allowed_ones_when_it_is_written(client):
    made = await client.post("/v1/attributes", json=PLANS)
    assert (made.status_code, made.json()["allowed_values"]) == (201, ["free", "pro"])
    refused = await client.post("/v1/contacts", json={"email": "a@x.example", "attributes": {"plan": "gold"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_field")
    assert "free, pro" in refused.json()["detail"]
    one = (await client.post("/v1/contacts", json={"email": "a@x.example", "attributes": {"plan": "pro"}})).json()

    await client.patch("/v1/attributes/plan", json={"allowed_values": ["free"]})
    kept = await client.patch(f"/v1/contacts/{one['id']}", json={"first_name": "A"})
    assert (kept.status_code, kept.json()["attributes"]) == (200, {"plan": "pro"})
    again = await client.patch(f"/v1/contacts/{one['id']}", json={"attributes": {"plan": "pro"}})
    assert again.status_code == 422
    await client.patch("/v1/attributes/plan", json={"allowed_values": None})
    free = await client.patch(f"/v1/contacts/{one['id']}", json={"attributes": {"plan": "anything"}})
    assert free.status_code == 200


async def test_only_texts_have_allowed_values(client):
    answer = await client.post("/v1/attributes", json={"name": "age", "type": "number", "allowed_values": ["1"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    await client.post("/v1/attributes", json={"name": "age", "type": "number"})
    answer = await client.patch("/v1/attributes/age", json={"allowed_values": ["1"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    for wrong in ([], [""], ["x" * 401], ["a\x00"]):
        refused = await client.post("/v1/attributes", json={"name": "plan", "allowed_values": wrong})
        assert refused.status_code == 422


async def test_a_deleted_attribute_takes_its_values_along_and_each_contact_is_told_of_once(
    client, contacts_db, workspace_id
):
    await client.post("/v1/attributes", json=PLANS)
    await client.post("/v1/attributes", json={"name": "city"})
    crowd = [Someone(f"{n}@x.example", attributes={"city": "Qom", **({"plan": "pro"} if n else {})}) for n in range(4)]
    await people.store(contacts_db.worker, workspace_id, crowd)
    rule = {"not": {"field": "attributes.plan", "op": "eq", "value": "pro"}}
    segment = (await client.post("/v1/segments", json={"name": "not pro", "rule": rule})).json()
    refused = await client.delete("/v1/attributes/plan")
    assert (refused.status_code, refused.json()["code"]) == (409, "attribute_in_use")
    assert refused.json()["params"]["segment_ids"] == [segment["id"]]
    await client.delete(f"/v1/segments/{segment['id']}")

    assert (await client.delete("/v1/attributes/plan", headers={"If-Match": '"7"'})).status_code == 412
    assert (await client.delete("/v1/attributes/plan")).status_code == 204
    assert (await client.delete("/v1/attributes/plan")).status_code == 404
    early = await client.post("/v1/attributes", json={"name": "plan", "type": "number"})
    assert (early.status_code, early.json()["code"]) == (409, "attribute_being_deleted")
    async with jobs_running(contacts_db):
        await _idle(contacts_db)
    assert (await client.post("/v1/attributes", json={"name": "plan", "type": "number"})).status_code == 201
    for one in crowd:
        assert (await client.get(f"/v1/contacts/{one.id}")).json()["attributes"] == {"city": "Qom"}
    told = [e.data for e in await outbox_events(contacts_db.worker) if isinstance(e.data, LeadUpdatedV1)]
    assert sorted(data.contact_id for data in told) == sorted(one.id for one in crowd[1:])
    assert all(data.attributes == {"city": "Qom"} for data in told)
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from contact_value where attribute = 'plan'") == 0


async def _idle(database):
    async with database.worker.connection() as connection:
        for _ in range(600):
            if not await connection.fetchval(
                "select exists (select from jobs where kind = 'remove_attribute' and state <> 'completed')"
            ):
                return
            await connection.execute("select pg_sleep(0.05)")
    raise AssertionError("jobs are still running")
