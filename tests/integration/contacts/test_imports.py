import csv
import io
from pathlib import Path

import httpx
import pytest
from common.testing.deliver import outbox_events

from tests.fixtures import messy_contacts
from tests.integration.contacts import service
from tests.integration.contacts.service import import_file


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
