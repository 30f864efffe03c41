"""Suppression lists in and out, plain and hashed."""

import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from common.testing.deliver import outbox_events


async def give(client: httpx.AsyncClient, text: str, kind: str, **more: str) -> httpx.Response:
    files = {"file": ("list.txt", text.encode(), "text/plain")}
    return await client.post("/v1/suppressions/file", files=files, data={"kind": kind, **more})


async def given(client: httpx.AsyncClient, **query: str) -> list[dict[str, str]]:
    answer = await client.get("/v1/suppressions/file", params=query)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def told(database) -> list[Any]:
    return [
        one.data for one in await outbox_events(database.worker) if type(one.data).__name__ == "SuppressionChangedV1"
    ]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def is_suppressed(client: httpx.AsyncClient, email: str) -> bool:
    return bool((await client.get("/v1/suppressions", params={"email": email})).json()["items"])


async def test_a_plain_list_suppresses_whom_it_names_and_tells_what_it_cannot_take(client, contacts_db):
    answer = await give(
        client, "email,name\nAnn@example.com,Ann\nnobody\n\nann@example.com,again\nsara@مثال.com\n", "address"
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["read"], found["added"], found["rejected"]) == (4, 2, 1)
    assert found["rejects"][0]["row"] == 3
    assert await is_suppressed(client, "ann@example.com")
    assert {one.reason for one in await told(contacts_db)} == {"list"}
    again = (await give(client, "ann@example.com\n", "address")).json()
    assert again["added"] == 0
    assert len(await told(contacts_db)) == 2, "what changes nothing tells nothing"


async def test_a_list_never_shortens_a_suppression_and_lengthens_a_shorter_one(client):
    soon, later = (datetime.now(UTC) + timedelta(days=n) for n in (1, 9))
    await client.post("/v1/suppressions", json={"email": "ann@example.com"})
    assert (await give(client, "ann@example.com", "address", expires_at=soon.isoformat())).json()["added"] == 0
    assert (await give(client, "bob@example.com", "address", expires_at=soon.isoformat())).json()["added"] == 1
    assert (await give(client, "bob@example.com", "address", expires_at=later.isoformat())).json()["added"] == 1
    assert (await give(client, "bob@example.com", "address", expires_at=soon.isoformat())).json()["added"] == 0
    (bob,) = (await client.get("/v1/suppressions", params={"email": "bob@example.com"})).json()["items"]
    assert datetime.fromisoformat(bob["expires_at"]) == later


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
async def test_hashes_suppress_who_is_here_and_who_comes_later(client, contacts_db, algorithm):
    hashed = [hashlib.new(algorithm, f"{one}@example.com".encode()).hexdigest() for one in ("here", "later", "moved")]
    await client.post("/v1/contacts", json={"email": "Here@example.com"})
    other = (await client.post("/v1/contacts", json={"email": "other@example.com"})).json()
    found = (await give(client, "\n".join([*hashed, "abc"]), algorithm)).json()
    assert (found["read"], found["added"], found["rejected"]) == (4, 1, 1)
    assert await is_suppressed(client, "here@example.com")
    assert not await is_suppressed(client, "other@example.com")
    await client.post("/v1/contacts", json={"email": "later@example.com"})
    assert await is_suppressed(client, "later@example.com")
    await client.patch(f"/v1/contacts/{other['id']}", json={"email": "moved@example.com"})
    assert await is_suppressed(client, "moved@example.com")
    assert len(await told(contacts_db)) == 3
    assert all(one.active and one.scope == "address" for one in await told(contacts_db))


async def test_hashes_meet_the_contacts_of_an_import_too(client, contacts_db):
    from tests.integration.contacts.service import csv_of, import_file

    await give(client, sha256("b@example.com"), "sha256")
    await import_file(client, contacts_db, csv_of("a@example.com,A,,,,", "b@example.com,B,,,,"))
    assert [await is_suppressed(client, f"{one}@example.com") for one in "ab"] == [False, True]


async def test_lists_go_out_in_every_form_and_come_back(client, contacts_db):
    await client.post("/v1/contacts", json={"email": "Ann@example.com"})
    await give(client, "ann@example.com\ngone@example.com\n", "address", reason="complaint")
    await give(client, "@example.org", "domain")
    assert [row["value"] for row in await given(client, form="plain")] == ["Ann@example.com"]
    assert [row["value"] for row in await given(client, form="sha256")] == [sha256("ann@example.com")]
    assert (await given(client, form="plain"))[0]["reason"] == "complaint"
    keyed = await client.get("/v1/suppressions/file", params={"form": "keyed"})
    assert len(keyed.text.splitlines()) == 3
    domains = await client.get("/v1/suppressions/file", params={"form": "keyed", "scope": "domain"})
    async with contacts_db.worker.connection() as connection:
        await connection.execute("delete from suppressions")
    assert (await give(client, keyed.text, "keyed")).json()["added"] == 2
    assert (await give(client, domains.text, "keyed_domain")).json()["added"] == 1
    assert await is_suppressed(client, "gone@example.com")
    assert (await client.get("/v1/suppressions", params={"domain": "example.org"})).json()["items"]


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("%PDF-1.7", "address", 400),
        ("", "address", 400),
        ("a\x00b", "address", 400),
        ("ann@example.com", "sha1", 422),
        ("\n".join(f"p{n}@example.com" for n in range(100_002)), "address", 409),
    ],
    ids=["pdf", "empty", "nul", "unknown kind", "too long"],
)
async def test_a_file_that_cannot_be_taken_changes_nothing(client, contacts_db, text, kind, status):
    answer = await give(client, text, kind)
    assert answer.status_code == status, answer.text
    assert await told(contacts_db) == []


async def test_domains_have_no_digest_of_an_address(client):
    answer = await client.get("/v1/suppressions/file", params={"scope": "domain", "form": "md5"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
