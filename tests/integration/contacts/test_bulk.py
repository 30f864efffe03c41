"""Changing many contacts at once, by a job that may be killed."""

import asyncio
import os
import sys
from collections import Counter
from uuid import UUID, uuid4

from common.contracts.leads import LeadUpdatedV1
from common.testing.deliver import outbox_events

from tests.integration.contacts import people
from tests.integration.contacts.people import Someone
from tests.integration.contacts.service import jobs_running

MANY = 12_000


async def _finished(client, bulk_id):
    for _ in range(600):
        found = (await client.get(f"/v1/contacts/bulk/{bulk_id}")).json()
        if found["status"] in ("completed", "failed", "cancelled"):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"still not over: {found}")


async def _change(client, database, **body):
    answer = await client.post("/v1/contacts/bulk", json=body)
    assert answer.status_code == 202, answer.text
    async with jobs_running(database):
        return await _finished(client, answer.json()["id"])


async def test_tags_owner_and_stage_of_a_segment_are_changed_and_only_what_differs_is_told(
    client, contacts_db, workspace_id
):
    crowd = [
        Someone("a@x.example", fields={"country": "IR"}, tags=["old", "kept"]),
        Someone("b@x.example", fields={"country": "IR", "owner": "m-1", "stage": "customer"}, tags=["new"]),
        Someone("c@x.example", fields={"country": "DE"}, tags=["old"]),
    ]
    await people.store(contacts_db.worker, workspace_id, crowd)
    segment = await people.make_segment(
        contacts_db.worker, workspace_id, {"field": "country", "op": "eq", "value": "IR"}
    )
    wanted = {"add_tags": ["new"], "remove_tags": ["old"], "owner": "m-1", "stage": "customer"}
    done = await _change(client, contacts_db, segment_id=str(segment), **wanted)
    assert (done["status"], done["total"], done["done"], done["changed"]) == ("completed", 2, 2, 1)
    first = (await client.get(f"/v1/contacts/{crowd[0].id}")).json()
    assert (first["tags"], first["owner"], first["stage"], first["revision"]) == (["kept", "new"], "m-1", "customer", 2)
    assert (await client.get(f"/v1/contacts/{crowd[2].id}")).json()["tags"] == ["old"]
    (move,) = (await client.get(f"/v1/contacts/{crowd[0].id}/stages")).json()["items"]
    assert (move["from_stage"], move["to_stage"], move["cause"]) == ("lead", "customer", "bulk")
    (event,) = await outbox_events(contacts_db.worker)
    assert isinstance(event.data, LeadUpdatedV1)
    assert (event.data.contact_id, event.data.revision, event.data.tags, event.data.owner, event.data.stage) == (
        crowd[0].id, 2, ["kept", "new"], "m-1", "customer",
    )  # fmt: skip
    assert [c.status for c in event.data.consents] == ["subscribed"]

    again = await _change(client, contacts_db, segment_id=str(segment), **wanted)
    assert (again["done"], again["changed"]) == (2, 0)
    nobody = await _change(client, contacts_db, segment_id=str(segment), owner=None)
    assert nobody["changed"] == 2
    assert (await client.get(f"/v1/contacts/{crowd[0].id}")).json()["owner"] is None


async def test_a_rule_or_a_list_chooses_who_is_put_on_a_list_or_taken_off(client, contacts_db, workspace_id):
    crowd = [Someone(f"{n}@x.example", tags=["vip"] if n < 3 else []) for n in range(5)]
    await people.store(contacts_db.worker, workspace_id, crowd)
    target = await people.make_list(contacts_db.worker, workspace_id, [crowd[0].id])
    vip = {"field": "tags", "op": "contains", "value": "vip"}
    added = await _change(client, contacts_db, rule=vip, add_to_list=str(target))
    assert (added["members"], added["changed"]) == (2, 0)
    taken = await _change(client, contacts_db, list_id=str(target), remove_from_list=str(target), add_tags=["left"])
    assert (taken["members"], taken["changed"]) == (3, 3)
    assert (await client.get(f"/v1/lists/{target}/members")).json()["items"] == []


async def test_what_cannot_be_done_is_refused_before_anything_changes(client, contacts_db, workspace_id):
    everybody = {"all": []}
    for body, status, code in (
        ({}, 422, "invalid"),
        ({"rule": everybody}, 422, "invalid"),
        ({"rule": everybody, "list_id": str(uuid4()), "stage": "lead"}, 422, "invalid"),
        ({"rule": everybody, "stage": "friend"}, 422, "invalid"),
        ({"rule": {"field": "nope", "op": "eq", "value": 1}, "stage": "lead"}, 422, "invalid_rule"),
        ({"segment_id": str(uuid4()), "stage": "lead"}, 404, "segment_not_found"),
        ({"list_id": str(uuid4()), "stage": "lead"}, 404, "list_not_found"),
        ({"rule": everybody, "add_to_list": str(uuid4())}, 404, "list_not_found"),
    ):
        answer = await client.post("/v1/contacts/bulk", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
    assert (await client.get(f"/v1/contacts/bulk/{uuid4()}")).status_code == 404
    async with contacts_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from jobs where kind = 'bulk_change'") == 0


async def test_a_bulk_change_is_cancelled_and_then_over(client):
    made = (await client.post("/v1/contacts/bulk", json={"rule": {"all": []}, "stage": "lead"})).json()
    cancelled = await client.post(f"/v1/contacts/bulk/{made['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    again = await client.post(f"/v1/contacts/bulk/{made['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "bulk_change_over")


async def test_a_bulk_change_killed_in_the_middle_changes_and_tells_everybody_once(
    client, contacts_db, service_env, workspace_id
):
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into contacts (workspace_id, id, email, email_normalised, address_hash, domain_hash)"
            " select $1, gen_random_uuid(), n || '@x.example', n || '@x.example', '', ''"
            "   from generate_series(1, $2::int) n",
            workspace_id, MANY,
        )  # fmt: skip
    body = {"rule": {"all": []}, "add_tags": ["expo"], "stage": "opportunity"}
    bulk_id = (await client.post("/v1/contacts/bulk", json=body)).json()["id"]
    await _kill_after_the_first_range(contacts_db, service_env("contacts", contacts_db), bulk_id)
    async with jobs_running(contacts_db):
        done = await _finished(client, bulk_id)
    assert (done["status"], done["total"], done["done"], done["changed"]) == ("completed", MANY, MANY, MANY)
    async with contacts_db.worker.connection() as connection:
        told = Counter(row[0] for row in await connection.fetch("select key from outbox where topic = 'lead.updated'"))
        assert (len(told), max(told.values())) == (MANY, 1)
        assert await connection.fetchval("select count(*) from stage_transitions") == MANY
        assert await connection.fetchval("select count(*) from contacts where revision <> 2") == 0


async def _kill_after_the_first_range(database, env, bulk_id):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "contacts", "jobs", env={**os.environ, **env},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with database.worker.connection() as connection:
            for _ in range(3000):
                done = await connection.fetchval(
                    "select (progress ->> 'done')::int from jobs where id = $1", UUID(bulk_id)
                )
                if done:
                    break
                await asyncio.sleep(0.01)
    finally:
        process.kill()
        await process.wait()
    assert 0 < done < MANY, f"killed too late to tell anything: {done} were done"
    async with database.worker.connection() as connection:
        # As if the dead process's lease were over.
        await connection.execute(
            "update jobs set lease_until = now() where id = $1 and state = 'running'", UUID(bulk_id)
        )
