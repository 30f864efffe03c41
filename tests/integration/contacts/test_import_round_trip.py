"""A raw export read back by the importer is what was exported."""

import csv
import io

import httpx
from common.ids import new_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.contacts import service
from tests.integration.contacts.service import csv_of, import_file, upload
from tests.integration.contacts.test_import_undo import undo

words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
maybe = st.none() | words
people = st.lists(
    st.fixed_dictionaries(
        {
            "first_name": maybe, "last_name": maybe, "company": maybe, "city": maybe, "owner": maybe,
            "language": st.sampled_from([None, "fa", "ar-EG"]), "country": st.sampled_from([None, "IR", "EG"]),
            "timezone": st.sampled_from([None, "Asia/Tehran"]),
            "phone": st.sampled_from([None, "+98 912 123 4567", "+1 650 253 0000"]),
            "stage": st.sampled_from(["subscriber", "lead", "marketing_qualified", "customer"]),
            "tags": st.lists(st.sampled_from(["vip", "نمایشگاه", "=1+1"]), unique=True),
            "attributes": st.fixed_dictionaries(
                {}, optional={"note": words, "visits": st.integers(-9, 9), "vip": st.booleans()}
            ),
        }
    ),
    min_size=5,
    max_size=15,
)  # fmt: skip
COPIED = ("email", "first_name", "last_name", "language", "timezone", "country", "external_id", "phone", "company",
          "city", "owner", "stage", "tags", "attributes.note", "attributes.vip", "attributes.visits")  # fmt: skip


async def exported(client: httpx.AsyncClient) -> bytes:
    export = (await client.post("/v1/exports", json={})).json()
    return (await client.get(f"/v1/exports/{export['id']}/file")).content


def rows(data: bytes) -> list[tuple[str, ...]]:
    read = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return sorted(tuple(row[name] for name in COPIED) for row in read)


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(everybody=people)
async def test_a_raw_export_imported_elsewhere_is_the_same_people(client, contacts_db, http_client, keys, everybody):
    async with (
        http_client(service.app(), keys.token(new_id())) as here,
        http_client(service.app(), keys.token(new_id())) as there,
    ):
        for one in (here, there):
            for name, kind in (("note", "text"), ("visits", "number"), ("vip", "boolean")):
                await one.post("/v1/attributes", json={"name": name, "type": kind})
        for n, fields in enumerate(everybody):
            given = {name: value for name, value in fields.items() if value is not None}
            made = await here.post("/v1/contacts", json={"email": f"p{n}@x.example", "external_id": f"id {n}", **given})
            assert made.status_code == 201, made.text
        file = await exported(here)
        done = await import_file(there, contacts_db, file, mapping=None, consent=None)
        assert (done["status"], done["rows"]["created"]) == ("completed", len(everybody)), done
        assert rows(await exported(there)) == rows(file)
        again = await import_file(here, contacts_db, file, mapping=None, consent=None)
        assert again["rows"]["unchanged"] == len(everybody), again


async def test_a_stage_moves_on_by_an_import_back_only_if_asked_and_each_move_is_undone(client, contacts_db):
    header, mapping = "Email,Stage,Owner", {"Email": "email", "Stage": "stage", "Owner": "owner"}
    first = csv_of("a@x.example,customer,sara", "b@x.example,MQL,", "c@x.example,,", header=header)
    await import_file(client, contacts_db, first, mapping=mapping)
    ids = {one["email"][0]: one["id"] for one in (await client.get("/v1/contacts")).json()["items"]}

    async def stands() -> dict[str, tuple[str, str | None]]:
        items = (await client.get("/v1/contacts")).json()["items"]
        return {one["email"][0]: (one["stage"], one["owner"]) for one in items}

    assert await stands() == {"a": ("customer", "sara"), "b": ("marketing_qualified", None), "c": ("lead", None)}
    second = csv_of("a@x.example,lead,ali", "b@x.example,Opportunity,ali", "c@x.example,,", header=header)
    done = await import_file(client, contacts_db, second, mapping=mapping)
    assert await stands() == {"a": ("customer", "ali"), "b": ("opportunity", "ali"), "c": ("lead", None)}
    asked = await import_file(
        client, contacts_db, second, mapping=mapping, on_conflict={"default": "keep", "stage": "overwrite"}
    )
    assert await stands() == {"a": ("lead", "ali"), "b": ("opportunity", "ali"), "c": ("lead", None)}
    for import_id in (asked["id"], done["id"]):
        await undo(client, contacts_db, import_id)
    assert await stands() == {"a": ("customer", "sara"), "b": ("marketing_qualified", None), "c": ("lead", None)}
    moves = (await client.get(f"/v1/contacts/{ids['a']}/stages")).json()["items"]
    assert [(one["from_stage"], one["to_stage"], one["cause"]) for one in moves] == [
        ("lead", "customer", "undo of an import"), ("customer", "lead", "import"),
    ]  # fmt: skip
    wrong = await upload(client, csv_of("a@x.example,boss,", header=header), mapping=mapping)
    async with service.jobs_running(contacts_db):
        found = await service.finished(client, wrong.json()["id"])
    rejects = (await client.get(f"/v1/imports/{found['id']}/rejects")).text
    assert (found["rows"]["rejected"], "invalid_stage" in rejects) == (1, True)
