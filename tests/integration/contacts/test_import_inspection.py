"""A file is looked at without any effect."""

import json

from tests.fixtures import workbooks
from tests.integration.contacts.service import csv_of, import_file


async def inspect(client, content: bytes, **options):
    answer = await client.post(
        "/v1/imports/inspect", files={"file": ("x", content)}, data={"options": json.dumps(options)}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_file_is_told_and_its_first_rows_shown_as_they_would_be_stored(client, contacts_db):
    content = csv_of(
        "A@x.example;زهرا;تهران;42;true;vip, expo;", "nobody;B;Shiraz;x;;;", "c@x.example;C;;7;false;;yes",
        header="ایمیل;نام;شهر;Shoe size;Member;Tags;Email Opt Out",
    )  # fmt: skip
    found = await inspect(client, content.decode().encode("utf-16"), create_attributes=True)
    assert (found["format"], found["encoding"], found["delimiter"]) == ("csv", "utf-16", ";")
    assert found["mapping"] == {
        "ایمیل": "email", "نام": "first_name", "شهر": "city", "Shoe size": "attributes.shoe_size",
        "Member": "attributes.member", "Tags": "tags", "Email Opt Out": "attributes.email_opt_out",
    }  # fmt: skip
    assert {one["name"]: one["type"] for one in found["columns"] if one["type"]} == {
        "Shoe size": "number", "Member": "boolean", "Email Opt Out": "text",
    }  # fmt: skip
    first, wrong, last = found["rows"]
    assert first["values"] == {
        "email": "A@x.example", "first_name": "زهرا", "tags": ["expo", "vip"], "city": "تهران",
        "attributes": {"shoe_size": 42, "member": True},
    }  # fmt: skip
    assert (wrong["row"], wrong["code"], wrong["given"]["شهر"]) == (3, "invalid_email", "Shiraz")
    assert last["values"]["attributes"]["email_opt_out"] == "yes"
    assert {one["code"] for one in found["warnings"]} == {"opted_out", "rejected"}
    # No effect: and importing it so does what was shown.
    assert (await client.get("/v1/imports")).json()["items"] == []
    assert (await client.get("/v1/attributes")).json()["items"] == []
    await import_file(client, contacts_db, content, mapping=found["mapping"])
    stored = {one["email"]: one for one in (await client.get("/v1/contacts")).json()["items"]}
    for row in (first, last):
        one = stored[row["values"]["email"]]
        assert {name: one[name] for name in row["values"]} == row["values"]


async def test_what_is_missing_is_a_warning_where_an_import_would_refuse(client, contacts_db):
    found = await inspect(client, workbooks.of_texts([["Name", "Colour"], ["Zoë", "red"]]))
    assert found["format"] == "xlsx"
    assert found["rows"] == []
    codes = [(one["code"], one["column"]) for one in found["warnings"]]
    assert ("no_email", "") in codes
    assert ("new_attribute", "Colour") in codes


async def test_a_file_that_cannot_be_read_is_refused_as_an_import_would(client, contacts_db):
    answer = await client.post("/v1/imports/inspect", files={"file": ("x", b"%PDF-1.7")})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_csv")
    answer = await client.post(
        "/v1/imports/inspect", files={"file": ("x", csv_of())}, data={"options": '{"mapping":{"Nope":"email"}}'}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_column")
