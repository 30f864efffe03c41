"""Phone, company, city, owner and stage of a contact, over HTTP and in the events."""

import pytest
from common.contracts.leads import LeadCreatedV1, LeadUpdatedV1
from common.testing.deliver import outbox_events


async def _create(client, email, **fields):
    answer = await client.post("/v1/contacts", json={"email": email, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_contacts_phone_company_city_owner_and_stage_are_stored_and_told(client, contacts_db):
    given = {"phone": " ۰۹۱۲ ۳۴۵ ۶۷۸۹", "country": "ir", "company": "شرکت نمونه", "city": "تهران", "owner": "m-1"}
    made = await _create(client, "a@x.example", **given, stage="opportunity")
    assert (made["phone"], made["phone_normalised"]) == ("۰۹۱۲ ۳۴۵ ۶۷۸۹", "+989123456789")
    assert [made[name] for name in ("company", "city", "owner", "stage")] == [
        "شرکت نمونه", "تهران", "m-1", "opportunity",
    ]  # fmt: skip
    (event,) = await outbox_events(contacts_db.worker)
    assert isinstance(event.data, LeadCreatedV1)
    assert (event.data.phone_normalised, event.data.company, event.data.city, event.data.owner, event.data.stage) == (
        "+989123456789", "شرکت نمونه", "تهران", "m-1", "opportunity",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phone", "fields", "normalised"),
    [
        ("+44 20 7946 0018", {}, "+442079460018"),
        ("0044 20 7946 0018", {"country": "DE"}, "+442079460018"),
        ("٠٥٠١٢٣٤٥٦٧", {"country": "SA"}, "+966501234567"),
        ("021 1234 5678", {}, None),
        ("ext. 4711", {"country": "IR"}, None),
    ],
)
async def test_a_phone_is_kept_as_typed_beside_the_form_that_can_be_called(client, phone, fields, normalised):
    made = await _create(client, "a@x.example", phone=phone, **fields)
    assert (made["phone"], made["phone_normalised"]) == (phone, normalised)


async def test_a_number_without_prefix_belongs_to_the_country_of_the_contact_else_of_the_workspace(
    client, contacts_db, workspace_id
):
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into workspaces (workspace_id, time_zone) values ($1, 'Asia/Tehran')", workspace_id
        )  # fmt: skip
    made = await _create(client, "a@x.example", phone="021 1234 5678")
    assert made["phone_normalised"] == "+982112345678"
    moved = await client.patch(f"/v1/contacts/{made['id']}", json={"country": "DE"})
    assert moved.json()["phone_normalised"] == "+492112345678"
    gone = await client.patch(f"/v1/contacts/{made['id']}", json={"phone": None})
    assert (gone.json()["phone"], gone.json()["phone_normalised"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"phone": "call me"}, "/phone"),
        ({"phone": "+99999 12"}, "/phone"),
    ],
)
async def test_what_cannot_be_a_number_is_refused_with_its_place(client, fields, pointer):
    answer = await client.post("/v1/contacts", json={"email": "a@x.example", **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert answer.json()["params"]["where"] == pointer
    unknown = await client.post("/v1/contacts", json={"email": "a@x.example", "stage": "friend"})
    assert unknown.status_code == 422


async def test_put_finds_a_person_by_phone_and_refuses_when_two_have_it(client):
    first = await _create(client, "a@x.example", phone="+98 912 345 6789")
    changed = await client.put("/v1/contacts", json={"phone": "0098-912-3456789", "country": "GB", "city": "Bath"})
    assert (changed.status_code, changed.json()["id"], changed.json()["city"]) == (200, first["id"], "Bath")
    second = await _create(client, "b@x.example", phone="+989123456789")
    both = await client.put("/v1/contacts", json={"phone": "+989123456789", "city": "Shiraz"})
    assert (both.status_code, both.json()["code"]) == (409, "two_people")
    assert set(both.json()["params"]["contact_ids"]) == {first["id"], second["id"]}
    found = await client.get("/v1/contacts", params={"phone": "+98 912 345 67 89"})
    assert {one["id"] for one in found.json()["items"]} == {first["id"], second["id"]}
    nobody = await client.put("/v1/contacts", json={"phone": "+98 912 000 0000"})
    assert nobody.status_code == 422


async def test_each_move_between_stages_is_recorded_and_told(client, contacts_db):
    made = await _create(client, "a@x.example")
    for stage in ("customer", "sales_qualified", "sales_qualified", None):
        await client.patch(f"/v1/contacts/{made['id']}", json={"stage": stage})
    moves = (await client.get(f"/v1/contacts/{made['id']}/stages")).json()["items"]
    assert [(move["from_stage"], move["to_stage"]) for move in moves] == [
        ("sales_qualified", "lead"), ("customer", "sales_qualified"), ("lead", "customer"),
    ]  # fmt: skip
    assert {move["cause"] for move in moves} == {"manual"}
    assert all(move["actor"].startswith("member:") for move in moves)
    told = [e.data for e in await outbox_events(contacts_db.worker) if isinstance(e.data, LeadUpdatedV1)]
    assert [data.stage for data in told] == ["customer", "sales_qualified", "lead"]


async def test_code_of_the_last_release_may_still_write_any_stage(client, contacts_db, workspace_id):
    made = await _create(client, "a@x.example")
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute("update contacts set stage = 'MQL' where workspace_id = $1", workspace_id)
    assert (await client.get(f"/v1/contacts/{made['id']}")).json()["stage"] == "marketing_qualified"
