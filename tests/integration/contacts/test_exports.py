"""Exports over HTTP, on a real database."""

import asyncio
import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from contacts.use_cases import exports as use_cases

from tests.integration.contacts.people import Someone, define, store

NOBODY = "0198f2aa-0000-7000-8000-000000000001"
_NOW = datetime.now(UTC)


async def made(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.post("/v1/exports", json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def taken(client: httpx.AsyncClient, **wanted: Any) -> list[dict[str, str]]:
    export = await made(client, **wanted)
    answer = await client.get(f"/v1/exports/{export['id']}/file")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def everything(pieces) -> bytes:
    return b"".join([piece async for piece in pieces])


async def some(db, workspace_id, n: int = 5) -> list[Someone]:
    await define(db.worker, workspace_id, "city", "text", indexed=True)
    people = [
        Someone(
            f"p{i}@example.com", fields={"first_name": f"نام {i}"}, tags=["vip"] if i % 2 else [],
            attributes={"city": "تهران" if i % 2 else "=cmd"}, consent="subscribed" if i else None,
        )
        for i in range(n)
    ]  # fmt: skip
    await store(db.worker, workspace_id, people)
    return people


async def test_all_contacts_or_those_of_a_segment_a_list_or_a_rule_go_out(client, contacts_db, workspace_id):
    people = await some(contacts_db, workspace_id)
    everybody = await taken(client)
    assert [row["email"] for row in everybody] == [one.email for one in people]
    assert [row["consent.newsletter"] for row in everybody] == ["", *["subscribed"] * 4]
    rule = {"field": "attributes.city", "op": "eq", "value": "تهران"}
    assert [row["email"] for row in await taken(client, rule=rule)] == ["p1@example.com", "p3@example.com"]
    segment = (await client.post("/v1/segments", json={"name": "Tehran", "rule": rule})).json()
    assert [row["tags"] for row in await taken(client, segment_id=segment["id"])] == ["vip", "vip"]
    list_id = (await client.post("/v1/lists", json={"name": "few"})).json()["id"]
    await client.post(f"/v1/lists/{list_id}/members", json={"contact_ids": [str(people[2].id)]})
    (only,) = await taken(client, list_id=list_id, mode="spreadsheet", columns=["email", "attributes.city"])
    assert only == {"email": "p2@example.com", "attributes.city": "'=cmd"}


async def test_who_took_how_many_is_kept(client, contacts_db, workspace_id):
    await some(contacts_db, workspace_id)
    export = await made(client, name="for the fair", format="jsonl")
    assert (export["downloads"], export["rows"]) == (0, None)
    answer = await client.get(f"/v1/exports/{export['id']}/file")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert export["id"] in answer.headers["content-disposition"]
    assert len([json.loads(line) for line in answer.content.splitlines()]) == 5
    found = (await client.get(f"/v1/exports/{export['id']}")).json()
    assert (found["downloads"], found["rows"], found["downloaded_by"]) == (1, 5, found["created_by"])
    listed = (await client.get("/v1/exports")).json()["items"]
    assert [one["name"] for one in listed] == ["for the fair"]


async def test_pages_meet_whatever_their_size_and_nobody_is_twice(client, contacts_db, workspace_id, monkeypatch):
    people = await some(contacts_db, workspace_id, 23)
    monkeypatch.setattr(use_cases, "PAGE", 4)
    monkeypatch.setattr(use_cases, "IDS_AT_ONCE", 10)
    assert [row["email"] for row in await taken(client)] == [one.email for one in people]


async def test_a_link_in_a_browser_works_with_a_ticket_for_its_path_alone(client, contacts_db, workspace_id):
    await some(contacts_db, workspace_id)
    export, other = await made(client), await made(client)
    ticket = (await client.post(f"/v1/exports/{export['id']}/ticket")).json()["ticket"]
    del client.headers["Authorization"]
    answer = await client.get(f"/v1/exports/{export['id']}/file", params={"ticket": ticket})
    assert answer.status_code == 200
    assert len(answer.text.splitlines()) == 6
    assert (await client.get(f"/v1/exports/{other['id']}/file", params={"ticket": ticket})).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"segment_id": NOBODY}, 404, "segment_not_found"),
        ({"list_id": NOBODY}, 404, "list_not_found"),
        ({"columns": ["email", "attributes.age"]}, 422, "unknown_column"),
        ({"rule": {"field": "nobody", "op": "eq", "value": 1}}, 422, "invalid_rule"),
        ({"format": "parquet", "mode": "spreadsheet"}, 422, "invalid"),
        ({"rule": {"all": []}, "list_id": NOBODY}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_taken_out_is_refused_at_once(client, wanted, status, code):
    answer = await client.post("/v1/exports", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_an_attribute_that_is_gone_by_the_download_is_named(client, contacts_db, workspace_id):
    await some(contacts_db, workspace_id)
    export = await made(client, columns=["email", "attributes.city"])
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute("delete from attribute_definitions where workspace_id = $1", workspace_id)
    answer = await client.get(f"/v1/exports/{export['id']}/file")
    assert (answer.status_code, answer.json()["params"]["column"]) == (422, "attributes.city")


async def test_a_reader_who_leaves_ends_the_work_and_is_not_counted(contacts_db, workspace_id, client):
    await some(contacts_db, workspace_id, 30)
    export = await made(client)
    async with contacts_db.worker.transaction(workspace_id) as tx:
        _, plan = await use_cases.plan_export(tx, workspace_id, export["id"], _NOW)

    def endless(columns, pages, file):
        while True:
            file.write(b"x" * 100_000)

    pieces = use_cases.stream_export(
        contacts_db.worker, workspace_id, export["id"], replace(plan, write=endless), _NOW, "somebody"
    )
    async with asyncio.timeout(10):
        await anext(pieces)
        await pieces.aclose()
    assert (await client.get(f"/v1/exports/{export['id']}")).json()["downloads"] == 0


async def test_a_download_whose_database_fails_breaks_off_and_is_not_called_whole(contacts_db, workspace_id, client):
    await some(contacts_db, workspace_id, 3)
    export = await made(client)
    async with contacts_db.worker.transaction(workspace_id) as tx:
        _, plan = await use_cases.plan_export(tx, workspace_id, export["id"], _NOW)

    def write(columns, pages, file):
        file.write(b"x" * 100_000)
        list(pages)
        raise OSError("the disk is full")

    pieces = use_cases.stream_export(
        contacts_db.worker, workspace_id, export["id"], replace(plan, write=write), _NOW, "somebody"
    )
    got = len(await anext(pieces))
    with pytest.raises(OSError, match="disk"):
        await everything(pieces)
    assert got >= 65_536
    assert (await client.get(f"/v1/exports/{export['id']}")).json()["downloads"] == 0
