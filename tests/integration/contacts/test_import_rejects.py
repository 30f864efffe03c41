"""What could not be imported comes back mended, in any format, and so does an export of ours."""

import csv
import gzip
import io
import json

import pytest

from tests.fixtures import workbooks
from tests.integration.contacts.service import csv_of, import_file, upload

COLUMNS = ["Email", "First Name", "Country", "code"]
ROWS = [
    ["good@x.example", "Good", "IR", "1"],
    ["nobody", "نیلوفر", "IR", "2"],
    ["b@x.example", "B", "Iran", "3"],
    ["", "line\nbreak", "", "4"],
]
MAPPING = {"Email": "email", "First Name": "first_name", "Country": "country", "code": "attributes.code"}
FORMATS = {
    "csv": lambda rows: _csv(rows, ","),
    "semicolons": lambda rows: b"\xef\xbb\xbf" + _csv(rows, ";"),
    "utf-16": lambda rows: _csv(rows, "\t").decode().encode("utf-16"),
    "xlsx": workbooks.of_texts,
    "csv.gz": lambda rows: gzip.compress(_csv(rows, ",")),
}


def _csv(rows: list[list[str]], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize("mapping", [MAPPING, None], ids=["mapped", "guessed"])
@pytest.mark.parametrize("name", FORMATS)
async def test_rejects_come_back_mended(client, contacts_db, name, mapping):
    first = await import_file(client, contacts_db, FORMATS[name]([COLUMNS, *ROWS]), mapping=mapping)
    assert (first["rows"]["created"], first["rows"]["rejected"]) == (1, 3)
    rejects = (await client.get(f"/v1/imports/{first['id']}/rejects")).text
    header, *rows = csv.reader(io.StringIO(rejects, newline=""))
    assert header == ["row", "code", "message", *COLUMNS]
    assert [row[3:] for row in rows] == ROWS[1:]
    for row, (email, country) in zip(
        rows, [("a@x.example", "IR"), ("b@x.example", "IR"), ("c@x.example", "")], strict=True
    ):
        row[3], row[5] = email, country
    mended = await import_file(client, contacts_db, FORMATS[name]([header, *rows]), mapping=mapping)
    assert (mended["rows"]["created"], mended["rows"]["rejected"]) == (3, 0)
    people = {one["email"]: one for one in (await client.get("/v1/contacts")).json()["items"]}
    assert people["a@x.example"]["first_name"] == "نیلوفر"
    assert {email: one["attributes"] for email, one in people.items()} == {
        f"{name}@x.example": {"code": code} for code, name in enumerate(("good", "a", "b", "c"), 1)
    }  # fmt: skip


async def test_rejects_of_json_lines_come_back_as_csv_and_as_json_lines(client, contacts_db):
    lines = [{"email": "nobody", "attributes": {"city": "تهران"}}, {"email": "a@x.example", "country": "IR"}]
    content = "\n".join(map(json.dumps, lines)).encode()
    first = await import_file(client, contacts_db, content, mapping=None)
    assert (first["format"], first["rows"]["rejected"]) == ("jsonl", 1)
    rejects = (await client.get(f"/v1/imports/{first['id']}/rejects")).text
    (row,) = csv.DictReader(io.StringIO(rejects, newline=""))
    assert (row["row"], row["attributes.city"]) == ("1", "تهران")
    row["email"] = "b@x.example"
    as_csv = io.StringIO(newline="")
    writer = csv.DictWriter(as_csv, list(row))
    writer.writeheader()
    writer.writerow(row)
    for mended in (as_csv.getvalue().encode(), json.dumps(row).encode()):
        done = await import_file(client, contacts_db, mended, mapping=None)
        assert done["rows"]["created"] + done["rows"]["unchanged"] == 1
    assert {one["name"] for one in (await client.get("/v1/attributes")).json()["items"]} == {"city"}
    (one,) = (await client.get("/v1/contacts", params={"email": "b@x.example"})).json()["items"]
    assert one["attributes"] == {"city": "تهران"}


async def test_a_file_that_has_such_columns_itself_keeps_them(client, contacts_db):
    content = csv_of("1,x,hello,a@x.example", header="row,code,message,Email")
    mapping = {"Email": "email", "message": "attributes.message"}
    await import_file(client, contacts_db, content, mapping=mapping)
    (one,) = (await client.get("/v1/contacts")).json()["items"]
    assert one["attributes"] == {"message": "hello"}
    answer = await upload(client, csv_of("1,x,hello", header="row,code,message"), mapping=None)
    assert answer.json()["code"] == "missing_column"


async def test_an_export_for_spreadsheets_loses_what_it_was_given(client, contacts_db):
    cells = ["'=1+1", "''quoted", "plain", "it's"]
    content = csv_of(
        *(f"{n},p{n}@x.example,{cell}" for n, cell in enumerate(cells)), header="id (guarded),email,attributes.note"
    )
    await import_file(client, contacts_db, content, mapping=None)
    people = sorted((await client.get("/v1/contacts")).json()["items"], key=lambda one: one["email"])
    assert [one["attributes"] for one in people] == [{"note": note} for note in ("=1+1", "'quoted", "plain", "it's")]
