"""Notes about a contact, and its timeline."""

from datetime import timedelta
from uuid import UUID

from tests.integration.contacts import people
from tests.integration.contacts.people import Someone


async def test_a_note_is_written_listed_and_deleted(client):
    made = (await client.post("/v1/contacts", json={"email": "a@x.example"})).json()
    notes = f"/v1/contacts/{made['id']}/notes"
    for text in ("met at the expo", "بعداً زنگ بزنم"):
        assert (await client.post(notes, json={"text": text})).status_code == 201
    first = (await client.get(notes, params={"limit": 1})).json()
    rest = (await client.get(notes, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [one["text"] for one in [*first["items"], *rest["items"]]] == ["بعداً زنگ بزنم", "met at the expo"]
    assert first["items"][0]["author"].startswith("member:")
    gone = f"{notes}/{rest['items'][0]['id']}"
    assert ((await client.delete(gone)).status_code, (await client.delete(gone)).status_code) == (204, 404)
    assert len((await client.get(notes)).json()["items"]) == 1
    for refused in ({"text": ""}, {"text": "a\x00b"}, {"text": "x" * 10_001}, {}):
        assert (await client.post(notes, json=refused)).status_code == 422
    nobody = f"/v1/contacts/{UUID(int=7)}/notes"
    assert (await client.post(nobody, json={"text": "x"})).status_code == 404


async def test_the_timeline_merges_all_that_happened_page_by_page_and_misses_nothing(client, contacts_db, workspace_id):
    one, other = Someone("a@x.example"), Someone("b@x.example")
    await people.store(contacts_db.worker, workspace_id, [one, other])
    for n in range(7):
        kind = ("email.sent", "email.opened", "email.clicked")[n % 3]
        await people.happened(contacts_db.worker, workspace_id, one.id, kind, timedelta(hours=n + 1))
        await people.happened(contacts_db.worker, workspace_id, other.id, kind, timedelta(hours=n + 1))
    path = f"/v1/contacts/{one.id}"
    await client.post(f"{path}/notes", json={"text": "hello"})
    await client.patch(path, json={"stage": "opportunity"})
    await client.post("/v1/consents", json={"contact_id": str(one.id), "status": "subscribed", "source": "phone"})

    seen, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(f"{path}/timeline", params=params)).json()
        seen += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert [item["type"] for item in seen] == [
        "consent", "stage", "note", "email.sent", "email.opened", "email.clicked", "email.sent", "email.opened",
        "email.clicked", "email.sent",
    ]  # fmt: skip
    assert len({item["id"] for item in seen}) == 10
    assert [item["at"] for item in seen] == sorted((item["at"] for item in seen), reverse=True)
    assert (seen[1]["data"]["from_stage"], seen[1]["data"]["to_stage"]) == ("lead", "opportunity")
    assert seen[2]["data"]["text"] == "hello"

    some = (await client.get(f"{path}/timeline", params={"type": ["note", "email.clicked"]})).json()["items"]
    assert [item["type"] for item in some] == ["note", "email.clicked", "email.clicked"]
    bad = await client.get(f"{path}/timeline", params={"cursor": "nonsense"})
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_cursor")
    assert (await client.get(f"/v1/contacts/{UUID(int=7)}/timeline")).status_code == 404


async def test_the_same_moment_does_not_end_a_timeline_early(client, contacts_db, workspace_id):
    one = Someone("a@x.example")
    await people.store(contacts_db.worker, workspace_id, [one])
    async with contacts_db.worker.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into activity (workspace_id, event_id, contact_id, type, at)"
            " select $1, gen_random_uuid(), $2, 'email.' || (n % 3), '2026-03-21' from generate_series(1, 50) n",
            workspace_id, one.id,
        )  # fmt: skip
    seen, cursor = set(), None
    while True:
        params = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(f"/v1/contacts/{one.id}/timeline", params=params)).json()
        seen |= {item["id"] for item in page["items"]}
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(seen) == 50
