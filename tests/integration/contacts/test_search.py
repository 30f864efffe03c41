"""Search over contacts by words, as people type them."""

import httpx
import pytest
from common.ids import new_id
from contacts.use_cases import searching
from contacts.use_cases.live_segments import catch_up

from tests.fixtures.databases import ServiceDatabase
from tests.integration.contacts.service import app

PEOPLE = [
    {"email": "niloofar@example.com", "first_name": "نیلوفر", "last_name": "کریمی", "city": "تهران"},
    {
        "email": "khalid@example.com",
        "first_name": "خالد",
        "last_name": "العتيبي",
        "city": "الرياض",
        "external_id": "K-7",
    },
    {"email": "jonathan@example.com", "first_name": "Jonathan", "last_name": "Kowalski", "company": "Silk Road Ltd"},
    {"email": "ann.k@example.com", "first_name": "Ann", "last_name": "Karimi", "phone": "+44 20 7946 0018"},
    {"email": "alireza@example.com", "first_name": "علی\u200cرضا", "last_name": "Müller"},
    {"email": "no-name@example.com"},
]


@pytest.fixture
async def people(client: httpx.AsyncClient, contacts_db: ServiceDatabase) -> dict[str, str]:
    ids = {}
    for one in PEOPLE:
        answer = await client.post("/v1/contacts", json=one)
        assert answer.status_code == 201, answer.text
        ids[answer.json()["id"]] = one["email"].partition("@")[0]
    await settle(contacts_db)
    return ids


async def settle(db: ServiceDatabase) -> None:
    """What the jobs process does: changes are noted, then indexed."""
    while await catch_up(db.worker):
        pass
    while await searching.catch_up(db.worker):
        pass


async def found(client: httpx.AsyncClient, q: str) -> list[str]:
    answer = await client.get("/v1/contacts/search", params={"q": q})
    assert answer.status_code == 200, answer.text
    return [one["email"].partition("@")[0] for one in answer.json()["items"]]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("نیلوفر", ["niloofar"]),
        ("نيلوفر كريمي", ["niloofar"]),  # Arabic letters for Persian ones
        ("نیلوفز", ["niloofar"]),  # one letter wrong
        ("نِیلوفَر", ["niloofar"]),  # diacritics
        ("العتیبی", ["khalid"]),
        ("خلد الریاض", ["khalid"]),  # one letter left out
        ("KOWALSKI", ["jonathan"]),
        ("jonahtan", ["jonathan"]),  # two swapped
        ("Jonnathan kowalsky", ["jonathan"]),  # an error in each
        ("kow", ["jonathan"]),  # half typed
        ("silk ltd", ["jonathan"]),
        ("ann.k@ex", ["ann.k"]),
        ("020 7946 0018", []),  # nobody's country: this is no number
        ("+442079460018", ["ann.k"]),
        ("K-7", ["khalid"]),
        ("نیلوفر kowalski", []),  # all the words, not some
        ("رضا muller", ["alireza"]),  # a part of a joined name; no accent
        ("anx", ["ann.k"]),
        ("zz", []),
    ],
)
async def test_people_are_found_as_they_are_typed(client, people, q, expected):
    assert await found(client, q) == expected


async def test_the_best_answers_come_first_and_pages_do_not_repeat(client, contacts_db):
    for n, name in enumerate(["Martin", "Martina", "Marten", "Karl", "Martin"]):
        await client.post("/v1/contacts", json={"email": f"p{n}@example.com", "first_name": name})
    await settle(contacts_db)
    assert (await found(client, "martin"))[2:] == ["p1", "p2"]
    seen, cursor = [], None
    for _ in range(4):
        params = {"q": "martin", "limit": 1, **({"cursor": cursor} if cursor else {})}
        answer = (await client.get("/v1/contacts/search", params=params)).json()
        seen += [one["email"] for one in answer["items"]]
        cursor = answer["next_cursor"]
    assert cursor is None
    assert {*seen[:2]} == {"p0@example.com", "p4@example.com"}
    assert seen[2:] == ["p1@example.com", "p2@example.com"]


async def test_a_changed_name_is_found_by_its_new_words_and_a_deleted_person_by_none(client, people, contacts_db):
    by_name = {name: contact_id for contact_id, name in people.items()}
    answer = await client.patch(f"/v1/contacts/{by_name['jonathan']}", json={"last_name": "Nowak"})
    assert answer.status_code == 200, answer.text
    await settle(contacts_db)
    assert await found(client, "kowalski") == []
    assert await found(client, "nowak") == ["jonathan"]
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("delete from contacts where id = $1", by_name["jonathan"])
    assert await found(client, "nowak") == []
    await searching.forget_unused(contacts_db.worker)
    async with contacts_db.worker.connection() as connection:
        words = await connection.fetch("select word from search_words")
    assert {row["word"] for row in words}.isdisjoint({"nowak", "kowalski", "jonathan"})
    assert await found(client, "karimi") == ["ann.k"]


async def test_nobody_sees_the_people_of_another_workspace(people, http_client, keys):
    async with http_client(app(), keys.token(new_id())) as other:
        assert await found(other, "نیلوفر") == []
        assert await found(other, "ann.k") == []


@pytest.mark.parametrize("q", [" ", "%_", "؟!", "\u200c"])
async def test_without_a_letter_or_digit_there_is_nothing_to_search(client, q):
    answer = await client.get("/v1/contacts/search", params={"q": q})
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing_to_search")
    assert answer.json()["mend"]
