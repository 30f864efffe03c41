"""Dry runs, and what an import makes of people who are there, field by field."""

import csv
import io

import pytest
from common.testing.deliver import outbox_events

from tests.fixtures import messy_contacts
from tests.integration.contacts.service import csv_of, import_file, upload

HEADER = "Email,First Name,City,Shoe,Tags"
MAPPING = {"Email": "email", "First Name": "first_name", "City": "attributes.city", "Shoe": "attributes.shoe"}


async def _everything(database) -> dict[str, list]:
    """What any import could change."""
    tables = ("contacts", "consents", "consent_records", "list_members", "attribute_definitions", "contact_value",
              "outbox", "tombstones", "import_changes")  # fmt: skip
    async with database.worker.connection() as connection:
        return {name: sorted(map(str, await connection.fetch(f"select * from {name}"))) for name in tables}


async def _rejects(client, import_id) -> list[dict[str, str]]:
    answer = await client.get(f"/v1/imports/{import_id}/rejects")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_a_dry_run_counts_what_the_import_does_and_stores_nothing(client, contacts_db, tmp_path):
    listed = (await client.post("/v1/lists", json={"name": "expo"})).json()["id"]
    messy_contacts.write(tmp_path / "old.csv", 1500, seed=1)
    await import_file(client, contacts_db, tmp_path / "old.csv")
    erased = (await client.get("/v1/contacts", params={"limit": 3})).json()["items"]
    for one in erased:
        await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": one["id"]})
    messy_contacts.write(tmp_path / "new.csv", 4000, seed=2)
    options = {"list_ids": [listed], "tags": ["expo"], "mapping": _SIX}
    before = await _everything(contacts_db)
    trial = await import_file(client, contacts_db, tmp_path / "new.csv", dry_run=True, **options)
    assert (trial["status"], trial["dry_run"]) == ("completed", True)
    assert await _everything(contacts_db) == before
    real = await import_file(client, contacts_db, tmp_path / "new.csv", **options)
    assert trial["rows"] == real["rows"]
    assert min(trial["rows"][name] for name in ("created", "updated", "skipped", "rejected")) > 0
    assert await _rejects(client, trial["id"]) == await _rejects(client, real["id"])
    again = await import_file(client, contacts_db, tmp_path / "new.csv", dry_run=True, **options)
    assert again["rows"]["unchanged"] == real["rows"]["created"] + real["rows"]["updated"]


_SIX = {
    "Email": "email", "First Name": "first_name", "Last Name": "last_name", "City": "attributes.city",
    "Country": "country", "Language": "language",
}  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "given", "empty"),
    [
        ("keep", ("Old", "Tehran"), ("Old", "Tehran")),
        ("fill", ("Old", "Tehran"), ("Old", "Tehran")),
        ("overwrite", ("New", "Shiraz"), ("Old", "Tehran")),
        ("erase", ("New", "Shiraz"), (None, None)),
    ],
)
@pytest.mark.parametrize("by", ["default", "name"])
async def test_a_field_goes_by_its_policy(client, contacts_db, policy, given, empty, by):
    conflict = {"default": policy}
    if by == "name":
        conflict = {"default": "keep", "first_name": policy, "attributes.city": policy}
    mapping = {**MAPPING}
    people = csv_of("given@x.example,Old,Tehran,42", "empty@x.example,Old,Tehran,42", "none@x.example,,,",
                    header="Email,First Name,City,Shoe")  # fmt: skip
    await import_file(client, contacts_db, people, mapping=mapping)
    people = csv_of("given@x.example,New,Shiraz,", "empty@x.example,,,", "none@x.example,New,Shiraz,",
                    "new@x.example,New,Shiraz,1", header="Email,First Name,City,Shoe")  # fmt: skip
    if by == "name":
        conflict["attributes.shoe"] = "overwrite"
    await import_file(client, contacts_db, people, mapping=mapping, on_conflict=conflict)
    found = {
        one["email"].partition("@")[0]: (
            one["first_name"],
            one["attributes"].get("city"),
            one["attributes"].get("shoe"),
        )
        for one in (await client.get("/v1/contacts")).json()["items"]
    }
    shoe = None if policy == "erase" and by == "default" else 42
    assert found["given"] == (*given, shoe)
    assert found["empty"] == (*empty, shoe)
    assert found["none"] == ((None, None, None) if policy == "keep" else ("New", "Shiraz", None))
    assert found["new"] == ("New", "Shiraz", 1)


async def test_a_policy_for_what_no_column_fills_is_refused(client, contacts_db):
    answer = await upload(client, csv_of("a@x.example,,,,,"), on_conflict={"timezone": "fill"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_mapping")
    assert answer.json()["params"]["column"] == "timezone"
    answer = await upload(client, csv_of("a@x.example,,,,,"), on_conflict={"default": "perhaps"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"].startswith("/options/on_conflict")


async def test_tags_of_a_column_are_added_once_each(client, contacts_db):
    mapping = {"Email": "email", "Tags": "tags"}
    first = csv_of('a@x.example,"vip, expo;vip"', "b@x.example,", header="Email,Tags")
    await import_file(client, contacts_db, first, mapping=mapping, tags=["2026"])
    found = {one["email"]: one["tags"] for one in (await client.get("/v1/contacts")).json()["items"]}
    assert found == {"a@x.example": ["2026", "expo", "vip"], "b@x.example": ["2026"]}
    done = await import_file(client, contacts_db, first, mapping=mapping, tags=["2026"])
    assert done["rows"]["unchanged"] == 2
    await import_file(client, contacts_db, csv_of("a@x.example,new", header="Email,Tags"), mapping=mapping)
    (one,) = (await client.get("/v1/contacts", params={"email": "a@x.example"})).json()["items"]
    assert one["tags"] == ["2026", "expo", "new", "vip"]
    assert len(await outbox_events(contacts_db.worker, "lead.updated")) == 1


async def test_a_row_with_tags_that_are_none_is_rejected(client, contacts_db):
    rows = [f"a@x.example,{';'.join(f't{n}' for n in range(60))}", f"b@x.example,{'x' * 200}", "c@x.example,fine"]
    done = await import_file(
        client, contacts_db, csv_of(*rows, header="Email,Tags"), mapping={"Email": "email", "Tags": "tags"}
    )
    assert [(one["row"], one["code"]) for one in await _rejects(client, done["id"])] == [
        ("2", "invalid_tags"), ("3", "invalid_tags"),
    ]  # fmt: skip


async def test_a_million_distinct_tags_are_refused_with_row_and_column(client, contacts_db):
    rows = (f"p{n}@x.example,{','.join(f't{n}-{i}' for i in range(20))}".replace(",", ",", 1) for n in range(50_000))
    content = b"Email;Tags\n" + "\n".join(row.replace(",", ";", 1) for row in rows).encode()
    answer = await upload(client, content, mapping={"Email": "email", "Tags": "tags"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["params"]["column"]) == (422, "too_many_tags", "2")
    assert problem["params"]["row"] > 1
    assert (await client.get("/v1/imports")).json()["items"] == []


async def test_phone_company_and_city_are_fields(client, contacts_db):
    mapping = {"Email": "email", "Phone": "phone", "Company": "company", "City": "city", "Country": "country"}
    header = "Email,Phone,Company,City,Country"
    rows = ["a@x.example,0912 123 4567,Acme,Tehran,IR", "b@x.example,+۹۸۹۱۲۱۲۳۴۵۶۷,,,", "c@x.example,ext. 12,,,GB"]
    await import_file(client, contacts_db, csv_of(*rows, header=header), mapping=mapping)
    people = {one["email"][0]: one for one in (await client.get("/v1/contacts")).json()["items"]}
    assert {name: (one["phone"], one["phone_normalised"]) for name, one in people.items()} == {
        "a": ("0912 123 4567", "+989121234567"), "b": ("+۹۸۹۱۲۱۲۳۴۵۶۷", "+989121234567"), "c": ("ext. 12", None),
    }  # fmt: skip
    assert (people["a"]["company"], people["a"]["city"]) == ("Acme", "Tehran")
    more = csv_of("a@x.example,+442071234567,,London,", "c@x.example,,,,", header=header)
    done = await import_file(
        client, contacts_db, more, mapping=mapping, on_conflict={"default": "fill", "city": "erase"}
    )
    assert (done["rows"]["updated"], done["rows"]["unchanged"]) == (1, 1)
    one = (await client.get(f"/v1/contacts/{people['a']['id']}")).json()
    assert (one["phone"], one["phone_normalised"], one["city"]) == ("0912 123 4567", "+989121234567", "London")
    (told,) = await outbox_events(contacts_db.worker, "lead.updated")
    assert (told.data.phone_normalised, told.data.city) == ("+989121234567", "London")


async def test_a_text_that_its_attribute_does_not_allow_is_rejected(client, contacts_db):
    made = await client.post("/v1/attributes", json={"name": "plan", "type": "text", "allowed_values": ["free", "pro"]})
    assert made.status_code == 201, made.text
    done = await import_file(
        client, contacts_db, csv_of("a@x.example,pro", "b@x.example,gold", "c@x.example,", header="Email,Plan"),
        mapping={"Email": "email", "Plan": "attributes.plan"},
    )  # fmt: skip
    (reject,) = await _rejects(client, done["id"])
    assert (done["rows"]["created"], reject["row"], reject["code"]) == (2, "3", "invalid_attribute")
    assert "free, pro" in reject["message"]
