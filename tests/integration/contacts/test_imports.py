import asyncio
import csv
import gzip
import io
import json
import re
from pathlib import Path

import asyncpg
import httpx
import pytest
from common.ids import new_id
from common.testing.deliver import outbox_events
from contacts.db.merge import PREPARE_TRANSACTION, Merge

from tests.fixtures import messy_contacts, workbooks
from tests.integration.contacts import service
from tests.integration.contacts.service import csv_of, import_file, upload


async def _rejects(client: httpx.AsyncClient, import_id: str) -> list[dict[str, str]]:
    answer = await client.get(f"/v1/imports/{import_id}/rejects")
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def _check_books(client, database, path: Path, expected: messy_contacts.Expected, **options) -> None:
    first = await import_file(client, database, path, **options)
    assert first["status"] == "completed"
    assert first["rows"] == {
        "read": expected.rows,
        "created": expected.distinct,
        "updated": 0,
        "unchanged": 0,
        "skipped": expected.duplicates,
        "rejected": sum(expected.rejects.values()),
    }
    codes = [row["code"] for row in await _rejects(client, first["id"])]
    assert {code: codes.count(code) for code in set(codes)} == dict(expected.rejects)
    told = await outbox_events(database.worker)
    assert [event.data.__class__.__name__ for event in told].count("LeadCreatedV1") == expected.distinct
    assert len(told) == expected.distinct
    assert all(event.data.consents[0].status == "subscribed" for event in told)

    second = await import_file(client, database, path, **options)
    assert second["rows"]["unchanged"] == expected.distinct
    assert second["rows"]["created"] == second["rows"]["updated"] == 0
    assert len(await outbox_events(database.worker)) == len(told), "an import that changes nothing tells nothing"
    async with database.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from import_stage") == 0


async def test_a_messy_file_is_merged_and_a_second_import_changes_nothing(client, contacts_db, tmp_path):
    expected = messy_contacts.write(tmp_path / "people.csv", 3000, seed=11)
    await _check_books(client, contacts_db, tmp_path / "people.csv", expected)


@pytest.mark.parametrize(
    "arguments",
    [("--seed", "7"), ("--encoding", "utf-8-sig", "--delimiter", ";"), ("--encoding", "utf-16", "--delimiter", "\t")],
)
async def test_files_of_the_shared_generator_give_what_it_expects(client, contacts_db, tmp_path, arguments):
    if not messy_contacts.SHARED_GENERATOR.exists():
        pytest.skip(f"{messy_contacts.SHARED_GENERATOR} is not beside this checkout")
    expected = messy_contacts.write_shared(tmp_path / "people.csv", 3000, *arguments)
    await _check_books(
        client,
        contacts_db,
        tmp_path / "people.csv",
        expected,
        mapping={
            **service.MAPPING,
            "Phone": "attributes.phone",
            "Lifecycle Stage": "attributes.stage",
            "Annual Revenue": "attributes.revenue",
            "Last Seen": "attributes.last_seen",
            "Notes": "attributes.notes",
        },
    )
    types = {row["name"]: row["type"] for row in (await client.get("/v1/attributes")).json()["items"]}
    assert types == {
        "city": "text",
        "phone": "text",
        "stage": "text",
        "revenue": "number",
        "last_seen": "date",
        "notes": "text",
    }


async def _nothing_stayed(client, database) -> None:
    assert (await client.get("/v1/imports")).json()["items"] == []
    assert (await client.get("/v1/contacts")).json()["items"] == []
    assert (await client.get("/v1/attributes")).json()["items"] == []
    async with database.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from import_stage") == 0
        assert await connection.fetchval("select count(*) from jobs where kind = 'import'") == 0


@pytest.mark.parametrize(
    ("content", "options", "status", "code", "params"),
    [
        (b"PK\x03\x04 sheet", {}, 400, "not_xlsx", {"row": 1}),
        (b'{"email":"a@x.example"}\n[]\n', {}, 400, "not_json_lines", {"row": 2}),
        (b"Email,City,Email\n", {}, 400, "invalid_header", {"row": 1, "column": "Email"}),
        (b"\x1f\x8b\x08 not gzip", {}, 400, "not_csv", {"row": 1}),
        (b"", {}, 400, "not_csv", {"row": 1}),
        (csv_of("a@x.example,A,B,C,GB,en") + b'b@x.example,"open', {}, 400, "not_csv", {"row": 3}),
        (csv_of("a@x.example,A,B,C,GB,en", "b@x.example,\x00,B,C,GB,en"), {}, 400, "not_csv",
         {"row": 3, "column": "2"}),
        (csv_of("a@x.example,A,B,C,GB,en") + b"b@x.example,\xff\xfe,,,,\n", {}, 400, "wrong_encoding", {"row": 3}),
        (csv_of("a@x.example,A", header="Email,First Name"), {}, 422, "missing_column", {"column": "Last Name"}),
        (csv_of("a@x.example"), {"mapping": {"City": "attributes.city"}}, 422, "missing_column", {"column": "email"}),
        (csv_of("a@x.example"), {"create_attributes": False}, 422, "unknown_attribute", {"column": "City"}),
        (csv_of("a@x.example"), {"mapping": {"Email": "email", "City": "score"}}, 422, "invalid_mapping",
         {"column": "City"}),
        (csv_of("a@x.example"), {"list_ids": ["01890000-0000-7000-8000-000000000001"]}, 404, "list_not_found", {}),
        (csv_of("a@x.example"), {"consent": {**service.CONSENT, "purpose": "nope"}}, 422, "unknown_purpose", {}),
        (csv_of("a@x.example"), {"consent": {"status": "subscribed"}}, 422, "invalid", {}),
        (csv_of("a@x.example"), {"surprise": 1}, 422, "invalid", {}),
    ],
)  # fmt: skip
async def test_a_file_that_cannot_be_imported_is_refused_whole(
    client, contacts_db, content, options, status, code, params
):
    answer = await upload(client, content, **options)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["mend"]
    assert params.items() <= problem["params"].items()
    await _nothing_stayed(client, contacts_db)


@pytest.mark.parametrize("name", ["people.csv", "people.xlsx", "people.jsonl.gz", "people.txt"])
async def test_a_file_is_what_its_bytes_say_whatever_its_name(client, contacts_db, name):
    header, row = ["Email", "First Name", "City"], ["a@x.example", "نیلوفر", "تهران"]
    mapping = {"Email": "email", "First Name": "first_name", "City": "attributes.city"}
    plain = "\n".join([",".join(header), ",".join(row), ""])
    for content, format_ in (
        (workbooks.of_texts([header, row]), "xlsx"),
        (gzip.compress(json.dumps(dict(zip(header, row, strict=True))).encode()), "jsonl"),
        (plain.replace(",", "\t").encode("utf-16"), "csv"),
        (plain.replace("نیلوفر", "علي").encode("windows-1256"), "csv"),
    ):
        answer = await client.post(
            "/v1/imports", files={"file": (name, content)},
            data={"options": json.dumps({"mapping": mapping, "create_attributes": True})},
        )  # fmt: skip
        assert answer.status_code == 202, answer.text
        async with service.jobs_running(contacts_db):
            done = await service.finished(client, answer.json()["id"])
        assert (done["format"], done["rows"]["created"] + done["rows"]["updated"] + done["rows"]["unchanged"]) == (
            format_, 1,
        )  # fmt: skip
        (one,) = (await client.get("/v1/contacts")).json()["items"]
        assert one["attributes"] == {"city": "تهران"}


async def test_a_row_with_a_line_break_in_its_address_is_rejected_with_its_columns(client, contacts_db):
    content = csv_of('"a@x.example\r\nBcc: b@x.example",A,B,Tehran,IR,fa', "fine@x.example,A,B,Tehran,IR,fa")
    done = await import_file(client, contacts_db, content)
    assert (done["rows"]["created"], done["rows"]["rejected"]) == (1, 1)
    (reject,) = await _rejects(client, done["id"])
    assert (reject["row"], reject["code"], reject["City"]) == ("2", "invalid_email", "Tehran")
    assert "line break" in reject["message"]
    assert reject["Email"] == "a@x.example\r\nBcc: b@x.example"


async def test_the_last_row_of_an_address_wins_and_empty_cells_take_nothing_away(client, contacts_db):
    rows = ["A@x.example,First,Old,Tehran,IR,fa", "b@x.example,B,,,,", " a@X.example,Second,New,,IR,fa"]
    first = await import_file(client, contacts_db, csv_of(*rows), tags=["expo"])
    assert (first["rows"]["created"], first["rows"]["skipped"]) == (2, 1)
    (one,) = (await client.get("/v1/contacts", params={"email": "a@x.example"})).json()["items"]
    assert (one["first_name"], one["email"], one["attributes"], one["tags"]) == ("Second", "a@X.example", {}, ["expo"])
    again = await import_file(client, contacts_db, csv_of("a@x.example,,Newer,Shiraz,,"), tags=["fair"])
    assert again["rows"]["updated"] == 1
    one = (await client.get(f"/v1/contacts/{one['id']}")).json()
    assert (one["first_name"], one["last_name"], one["country"], one["tags"], one["revision"]) == (
        "Second", "Newer", "IR", ["expo", "fair"], 2,
    )  # fmt: skip
    told = await outbox_events(contacts_db.worker, "lead.updated")
    assert [(event.data.revision, event.data.attributes) for event in told] == [(2, {"city": "Shiraz"})]
    assert told[0].data.consents[0].status == "subscribed"


async def test_skip_leaves_contacts_that_are_there_alone(client, contacts_db):
    await client.post("/v1/contacts", json={"email": "a@x.example", "first_name": "Kept"})
    done = await import_file(
        client, contacts_db, csv_of("a@x.example,Other,,,,", "b@x.example,B,,,,"), on_conflict="skip"
    )
    assert (done["rows"]["created"], done["rows"]["skipped"]) == (1, 1)
    (one,) = (await client.get("/v1/contacts", params={"email": "a@x.example"})).json()["items"]
    assert (one["first_name"], one["revision"]) == ("Kept", 1)


async def test_an_external_id_of_somebody_else_rejects_the_row(client, contacts_db):
    await client.post("/v1/contacts", json={"email": "a@x.example", "external_id": "1"})
    content = csv_of("b@x.example,1", "c@x.example,2", "d@x.example,2", "a@x.example,1", header="Email,Id")
    mapping = {"Email": "email", "Id": "external_id"}
    done = await import_file(client, contacts_db, content, mapping=mapping)
    assert [(row["row"], row["code"]) for row in await _rejects(client, done["id"])] == [
        ("2", "external_id_taken"), ("3", "external_id_taken"),
    ]  # fmt: skip
    assert (done["rows"]["created"], done["rows"]["updated"] + done["rows"]["unchanged"]) == (1, 1)


async def test_imported_people_are_on_the_lists_and_in_the_index(client, contacts_db, workspace_id):
    made = (await client.post("/v1/lists", json={"name": "expo"})).json()
    await import_file(client, contacts_db, csv_of(*(f"p{n}@x.example,,,Tehran,," for n in range(5))),
                      list_ids=[made["id"]], tags=["expo"])  # fmt: skip
    assert len((await client.get("/v1/contacts", params={"list_id": made["id"]})).json()["items"]) == 5
    async with contacts_db.worker.connection() as connection:
        rows = await connection.fetch(
            "select attribute, value, count(*) from contact_value group by 1, 2 order by 1", timeout=5
        )
    assert [tuple(row) for row in rows] == [("#tag", "expo", 5), ("city", "Tehran", 5)]


async def test_a_cancelled_import_stops_and_leaves_no_stage(client, contacts_db):
    answer = await upload(client, csv_of("a@x.example,A,B,C,GB,en"))
    import_id = answer.json()["id"]
    assert (await client.post(f"/v1/imports/{import_id}/cancel")).json()["status"] == "cancelled"
    assert (await client.post(f"/v1/imports/{import_id}/cancel")).status_code == 409
    async with service.jobs_running(contacts_db), contacts_db.worker.connection() as connection:
        for _ in range(200):
            if await connection.fetchval("select count(*) from jobs where state = 'completed'"):
                break
            await asyncio.sleep(0.05)
        assert await connection.fetchval("select count(*) from import_stage") == 0
    assert (await client.get("/v1/contacts")).json()["items"] == []


async def test_progress_streams_until_the_import_is_over(client, contacts_db):
    import_id = (await upload(client, csv_of("a@x.example,A,B,C,GB,en"))).json()["id"]
    ticket = (await client.post(f"/v1/imports/{import_id}/progress-ticket")).json()["ticket"]
    async with service.jobs_running(contacts_db):
        answer = await client.get(
            f"/v1/imports/{import_id}/progress", params={"ticket": ticket}, headers={"Authorization": ""}
        )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"status":"completed"' in answer.text.split("event: progress")[-1]


async def test_a_foreign_import_is_not_there(client, contacts_db, http_client, keys):
    import_id = (await upload(client, csv_of("a@x.example,A,B,C,GB,en"))).json()["id"]
    async with http_client(service.app(), keys.token(new_id())) as stranger:
        for path in ("", "/rejects", "/progress"):
            assert (await stranger.get(f"/v1/imports/{import_id}{path}")).status_code == 404
        assert (await stranger.post(f"/v1/imports/{import_id}/cancel")).status_code == 404


@pytest.mark.parametrize("more", ["", "\x1e", "\x1f"])
async def test_cells_come_through_the_stage_to_the_letter(client, contacts_db, more):
    notes = ['a "quoted" \\ word', "\\N", "\\.", "{a,b}", "tab\there", "two\nlines", "two\r\nlines", "NULL", "a\\", "'",
             "زهرا\u200cالف", "😀", '\\"', "\\\\t", "\x01\x7f", f"sep{more}arators"]  # fmt: skip
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["Email", "Note"], *([f"p{n}@x.example", note] for n, note in enumerate(notes))])
    rejected = ["\\N \"no\" 'address'\t{x}", *notes]
    csv.writer(text).writerows([note, note] for note in rejected)
    done = await import_file(
        client, contacts_db, text.getvalue().encode(), mapping={"Email": "email", "Note": "attributes.note"}
    )
    assert (done["rows"]["created"], done["rows"]["rejected"]) == (len(notes), len(rejected))
    async with contacts_db.worker.connection() as connection:
        kept = await connection.fetch("select attributes ->> 'note' as note from contacts order by email_normalised")
        sent = await connection.fetch("select cells from import_rejects order by row")
    assert sorted(row["note"] for row in kept) == sorted(notes)
    assert [row["cells"] for row in sent] == [[note, note] for note in rejected]


async def test_people_are_found_by_their_address_whatever_the_planner_believes(client, contacts_db, workspace_id):
    owner = await asyncpg.connect(contacts_db.owner_url)
    try:
        await import_file(client, contacts_db, csv_of("a@x.example,A,B,C,GB,en"))
        await owner.execute("delete from contacts; analyze contacts")  # as autovacuum may, while the first range runs
        merge = Merge(workspace_id, new_id(), {"fields": {"email": 0}, "attributes": []}, [None] * 9)
        span = f"'{new_id()}', 0, 5000, '{workspace_id}'"
        for name, statement in merge.statements().items():
            numbers = {int(number) for number in re.findall(r"\$(\d+)", statement)}
            await owner.execute(f"prepare to_{name} as {statement}")
            given = span if max(numbers) == 4 else span + ", null" * (max(numbers) - 4)
            async with owner.transaction():
                await owner.execute(PREPARE_TRANSACTION)
                plan = "\n".join(row[0] for row in await owner.fetch(f"explain execute to_{name} ({given})"))
            await owner.execute(f"deallocate to_{name}")
            assert "contacts_email" in plan, name
            assert "Filter: (email_normalised" not in plan, plan
            assert "Filter: ((email_normalised" not in plan, plan
    finally:
        await owner.close()
