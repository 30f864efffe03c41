"""Undoing an import: the identity, unless something happened since, and then exactly that stays, listed."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from common.ids import new_id, purpose_id
from common.testing.deliver import outbox_events
from contacts.db import consents
from contacts.db.consents import ConsentRecord

from tests.integration.contacts import service
from tests.integration.contacts.service import CONSENT, csv_of, import_file, upload

HEADER = "Email,First Name,City,Shoe,Id,Phone,Company"
MAPPING = {
    "Email": "email", "First Name": "first_name", "City": "attributes.city", "Shoe": "attributes.shoe",
    "Id": "external_id", "Phone": "phone", "Company": "company",
}  # fmt: skip


async def people(database) -> dict[str, dict[str, Any]]:
    """Everybody by address, with all that undoing brings back."""
    async with database.worker.connection() as connection:
        rows = await connection.fetch("""
            select c.email_normalised as email, c.first_name, c.attributes::text as attributes, c.tags, c.external_id,
              c.phone, c.phone_normalised, c.company, c.city,
              c.tracking, c.language,
              (select coalesce(array_agg(l.list_id::text order by 1), '{}') from list_members l
                where l.contact_id = c.id) as lists,
              (select coalesce(array_agg(k.status order by k.purpose_id), '{}') from consents k
                where k.contact_id = c.id and k.status <> 'none') as consents
            from contacts c""")
        index = await connection.fetch("select attribute, value, contact_id from contact_value order by 1, 2, 3")
    found = {row["email"]: dict(row) for row in rows}
    return {**found, "": {"index": [tuple(row) for row in index]}}


async def undo(client, database, import_id: str) -> dict[str, Any]:
    answer = await client.post(f"/v1/imports/{import_id}/undo")
    assert answer.status_code == 202, answer.text
    async with service.jobs_running(database):
        for _ in range(600):
            found = (await client.get(f"/v1/imports/{import_id}")).json()
            if found["undo"]["status"] in ("completed", "failed"):
                assert found["undo"]["status"] == "completed"
                return found["undo"]
            await asyncio.sleep(0.05)
    raise AssertionError(found)


async def kept(client, import_id: str) -> dict[tuple[str, str], str]:
    items = (await client.get(f"/v1/imports/{import_id}/kept", params={"limit": 200})).json()["items"]
    return {(one["contact_id"], one["field"]): one["reason"] for one in items}


async def _start(client, database, chance: random.Random, listed: str) -> None:
    """People with all kinds of values and consents."""
    rows = [f"p{n}@x.example,{chance.choice(['Sara', ''])},{chance.choice(['Tehran', ''])},{chance.choice(['42', ''])}"
            f",{chance.choice([f'id{n}', ''])},{chance.choice(['+989121234567', ''])}," for n in range(40)]  # fmt: skip
    options: dict[str, Any] = {"mapping": MAPPING, "tags": ["old"], "list_ids": [listed]}
    status = chance.choice(["subscribed", "pending"])
    done = await import_file(client, database, csv_of(*rows[:25], header=HEADER), **options,
                             consent={**CONSENT, "status": status, "tracking": "individual"})  # fmt: skip
    assert done["status"] == "completed", done
    await import_file(client, database, csv_of(*rows[25:], header=HEADER), **{**options, "consent": None})


async def _a_second_file(client, database, chance: random.Random, lists: list[str]) -> str:
    numbers = chance.sample(range(60), 45)
    rows = [f"p{n}@x.example,{chance.choice(['Sara', 'Zoë', ''])},{chance.choice(['Tehran', 'Shiraz', ''])}"
            f",{chance.choice(['42', '43.123456789', ''])},{chance.choice([f'new{n}', ''])}"
            f",{chance.choice(['+989121234567', 'ext. 12', ''])},{chance.choice(['Acme', ''])}"
            for n in numbers]  # fmt: skip
    done = await import_file(
        client, database, csv_of(*rows, header=HEADER), mapping=MAPPING, tags=chance.choice([[], ["new", "old"]]),
        list_ids=chance.sample(lists, chance.randint(0, 2)),
        consent=chance.choice([None, {**CONSENT, "status": "unsubscribed", "tracking": "none"}, CONSENT]),
        on_conflict=chance.choice(["update", {"default": "erase"}, {"default": "fill", "attributes.city": "erase"}]),
    )  # fmt: skip
    assert done["status"] == "completed", done
    return done["id"]


@pytest.mark.parametrize("seed", range(6))
async def test_import_then_undo_is_the_identity(client, contacts_db, seed):
    chance = random.Random(seed)
    lists = [(await client.post("/v1/lists", json={"name": name})).json()["id"] for name in ("a", "b")]
    await _start(client, contacts_db, chance, lists[0])
    before = await people(contacts_db)
    told = len(await outbox_events(contacts_db.worker))
    import_id = await _a_second_file(client, contacts_db, chance, lists)
    assert await people(contacts_db) != before
    done = await undo(client, contacts_db, import_id)
    assert await people(contacts_db) == before
    assert (await kept(client, import_id), done["kept"]) == ({}, 0)
    # What was told last of each contact is how it is.
    latest: dict[str, Any] = {}
    for event in await outbox_events(contacts_db.worker):
        data = event.data
        if event.data.__class__.__name__ in ("LeadCreatedV1", "LeadUpdatedV1"):
            assert data.revision > latest.get(str(data.contact_id), data).revision or str(data.contact_id) not in latest
            latest[str(data.contact_id)] = data
        elif event.data.__class__.__name__ == "LeadErasedV1":
            assert data.address_hashes == []
            del latest[str(data.contact_id)]
    assert len(await outbox_events(contacts_db.worker)) > told
    assert {data.email.lower(): data.first_name for data in latest.values()} == {
        email: one["first_name"] for email, one in before.items() if email
    }
    again = await client.post(f"/v1/imports/{import_id}/undo")
    assert (again.status_code, again.json()["code"]) == (409, "import_not_undoable")


@pytest.mark.parametrize("seed", range(4))
async def test_what_changed_since_stays_and_is_listed(client, contacts_db, seed):
    chance = random.Random(100 + seed)
    lists = [(await client.post("/v1/lists", json={"name": name})).json()["id"] for name in ("a", "b")]
    await _start(client, contacts_db, chance, lists[0])
    before = await people(contacts_db)
    import_id = await _a_second_file(client, contacts_db, chance, lists)
    imported = await people(contacts_db)
    everybody = (await client.get("/v1/contacts", params={"limit": 200})).json()["items"]
    touched: dict[str, str] = {}
    for one in chance.sample(everybody, 20):
        what = chance.choice(["first_name", "attributes.city", "left", "subscribed"])
        if what == "first_name":
            change = {"first_name": f"By hand {seed}"}
        elif what == "attributes.city":
            change = {"attributes": {"city": "By hand"}}
        else:
            status = "unsubscribed" if what == "left" else "subscribed"
            await client.post("/v1/consents", json={"contact_id": one["id"], "status": status, "source": "a call"})
            change = None
        if change:
            assert (await client.patch(f"/v1/contacts/{one['id']}", json=change)).status_code == 200
        touched[one["email"]] = what
    then = await people(contacts_db)
    await undo(client, contacts_db, import_id)
    after = await people(contacts_db)
    listed = await kept(client, import_id)
    ids = {one["email"]: one["id"] for one in everybody}
    for email in (set(before) | set(after)) - {""}:
        if email not in touched:
            assert after.get(email) == before.get(email), email
            continue
        what = touched[email]
        assert email in after, "nobody that a person touched goes"
        if what == "left":
            assert after[email]["consents"] == ["unsubscribed"], "who left since has left"
        elif what == "subscribed":
            assert after[email]["consents"] == ["subscribed"]
        else:
            field = "first_name" if what == "first_name" else "attributes"
            assert after[email][field] == then[email][field] or email in before
            by_hand = f"By hand {seed}" if what == "first_name" else "By hand"
            assert by_hand in str(after[email][field])
        if email not in before:
            assert listed[ids[email], "contact"] == ("consent" if what in ("left", "subscribed") else "changed")
            assert "new" not in after[email]["tags"]
            assert after[email]["lists"] == []
        elif what == "first_name" and imported[email]["first_name"] != before[email]["first_name"]:
            assert listed[ids[email], "first_name"] == "changed"
    assert {contact for contact, _ in listed} <= {ids[email] for email in touched}


async def test_undo_never_raises_the_consent_of_somebody_who_left_or_is_blocked(client, contacts_db):
    people_ = [f"p{n}@x.example" for n in range(4)]
    await import_file(client, contacts_db, csv_of(*(f"{one},,,,," for one in people_)))
    done = await import_file(
        client, contacts_db, csv_of(*(f"{one},,,,," for one in people_)), consent={**CONSENT, "status": "unsubscribed"}
    )
    ids = {one["email"]: one["id"] for one in (await client.get("/v1/contacts")).json()["items"]}
    # Left once more, by their own word: a line of the ledger that changes no state.
    await client.post("/v1/consents", json={"contact_id": ids[people_[0]], "status": "unsubscribed", "source": "call"})
    await client.post("/v1/suppressions", json={"email": people_[1], "reason": "complained"})
    await client.post("/v1/suppressions", json={"domain": "other.example", "reason": "asked"})
    await undo(client, contacts_db, done["id"])
    assert await kept(client, done["id"]) == {
        (ids[people_[0]], "consent"): "changed", (ids[people_[1]], "consent"): "suppressed",
    }  # fmt: skip
    async with contacts_db.worker.connection() as connection:
        rows = await connection.fetch("select contact_id, status, source from consent_records order by at, id")
        status = dict(await connection.fetch("select contact_id::text, status from consents"))
    assert [status[ids[one]] for one in people_] == ["unsubscribed", "unsubscribed", "subscribed", "subscribed"]
    reversing = [row for row in rows if row["source"].startswith("undo of import")]
    assert sorted(row["status"] for row in reversing) == ["subscribed", "subscribed"]
    assert len(rows) == 4 + 4 + 1 + 2, "the ledger only grows"


async def test_a_pause_and_an_expiry_come_back_with_the_consent_that_they_bound(client, contacts_db, workspace_id):
    """What an import wrote over was subscribed, but not now, not for ever, or not any more."""
    people_ = [f"p{n}@x.example" for n in range(4)]
    await import_file(client, contacts_db, csv_of(*(f"{one},,,,,," for one in people_), header=HEADER), mapping=MAPPING)
    ids = {one["email"]: one["id"] for one in (await client.get("/v1/contacts")).json()["items"]}
    soon, late = datetime.now(UTC) + timedelta(days=30), datetime.now(UTC) + timedelta(days=300)
    past = datetime.now(UTC) - timedelta(hours=1)
    bounds = ({"paused_until": soon}, {"expires_at": late}, {"expires_at": past}, {"paused_until": past})
    async with contacts_db.worker.transaction() as tx:
        purpose = purpose_id(workspace_id, "newsletter")
        said = [
            ConsentRecord(workspace_id, UUID(ids[one]), purpose, "subscribed", "page", None, None, "person", **bound)
            for one, bound in zip(people_, bounds, strict=True)
        ]
        await consents.append(tx, said)
    left = {**CONSENT, "status": "unsubscribed"}
    rows = csv_of(*(f"{one},,,,,," for one in people_), header=HEADER)
    done = await import_file(client, contacts_db, rows, mapping=MAPPING, consent=left)
    await undo(client, contacts_db, done["id"])
    async with contacts_db.worker.connection() as connection:
        stand = {str(row["contact_id"]): row for row in await connection.fetch("select * from consents")}
    assert [(stand[ids[one]]["status"], stand[ids[one]]["paused_until"], stand[ids[one]]["expires_at"])
            for one in people_] == [
        ("subscribed", soon, None), ("subscribed", None, late), ("none", None, None), ("subscribed", None, None),
    ]  # fmt: skip
    told = {}
    for event in await outbox_events(contacts_db.worker, "consent.changed"):
        told[str(event.data.contact_id)] = event.data
    assert (told[ids[people_[0]]].status, told[ids[people_[0]]].paused_until) == ("none", soon)


async def test_a_removed_person_may_be_imported_again_and_their_old_id_stays_buried(client, contacts_db):
    done = await import_file(client, contacts_db, csv_of("a@x.example,A,,,,"))
    (one,) = (await client.get("/v1/contacts")).json()["items"]
    assert (await undo(client, contacts_db, done["id"]))["removed"] == 1
    assert (await client.get(f"/v1/contacts/{one['id']}")).status_code == 404
    (erased,) = await outbox_events(contacts_db.worker, "lead.erased")
    assert (str(erased.data.contact_id), str(erased.data.request_id)) == (one["id"], done["id"])
    again = await import_file(client, contacts_db, csv_of("a@x.example,A,,,,"))
    assert again["rows"]["created"] == 1
    (other,) = (await client.get("/v1/contacts")).json()["items"]
    assert other["id"] != one["id"]


async def test_somebody_who_was_mailed_or_acted_stays_with_the_reason(client, contacts_db, workspace_id):
    done = await import_file(client, contacts_db, csv_of("a@x.example,,,,,", "b@x.example,,,,,", "c@x.example,,,,,"))
    ids = {one["email"][0]: one["id"] for one in (await client.get("/v1/contacts")).json()["items"]}
    async with contacts_db.worker.connection() as connection:
        campaign = new_id()
        await connection.execute(
            "insert into campaigns (workspace_id, campaign_id, status) values ($1, $2, 'closed')",
            workspace_id,
            campaign,
        )
        await connection.execute(
            "insert into audience_members (workspace_id, campaign_id, contact_id, seq, decision)"
            " values ($1, $2, $3, 1, 'eligible')", workspace_id, campaign, ids["a"],
        )  # fmt: skip
        await connection.execute(
            "insert into activity (workspace_id, event_id, contact_id, type, at)"
            " values ($1, $2, $3, 'webinar.attended', now())", workspace_id, new_id(), ids["b"],
        )  # fmt: skip
    result = await undo(client, contacts_db, done["id"])
    assert (result["removed"], result["kept"]) == (1, 2)
    assert await kept(client, done["id"]) == {(ids["a"], "contact"): "mailed", (ids["b"], "contact"): "active"}
    async with contacts_db.worker.connection() as connection:
        assert {row[0] for row in await connection.fetch("select status from consents")} == {"none"}
    changed = await outbox_events(contacts_db.worker, "consent.changed")
    assert sorted(str(event.data.contact_id) for event in changed) == sorted([ids["a"], ids["b"]])


async def test_what_cannot_be_undone_says_why(client, contacts_db):
    waiting = (await upload(client, csv_of("a@x.example,,,,,"))).json()["id"]
    problem = (await client.post(f"/v1/imports/{waiting}/undo")).json()
    assert (problem["code"], "not over" in problem["detail"]) == ("import_not_undoable", True)
    trial = await import_file(client, contacts_db, csv_of("b@x.example,,,,,"), dry_run=True)
    problem = (await client.post(f"/v1/imports/{trial['id']}/undo")).json()
    assert (problem["code"], "dry run" in problem["detail"]) == ("import_not_undoable", True)
    old = await import_file(client, contacts_db, csv_of("c@x.example,,,,,"))
    async with contacts_db.worker.connection() as connection:
        await connection.execute("update imports set finished_at = now() - interval '8 days' where id = $1", old["id"])
    problem = (await client.post(f"/v1/imports/{old['id']}/undo")).json()
    assert (problem["code"], "7 days" in problem["detail"]) == ("import_not_undoable", True)
    assert (await client.post(f"/v1/imports/{new_id()}/undo")).status_code == 404
    json.dumps(problem)


async def test_undoing_that_is_interrupted_again_and_again_happens_once(client, contacts_db, monkeypatch):
    monkeypatch.setattr("contacts.use_cases.import_undo._PAGE", 20)
    people_ = [f"p{n}@x.example" for n in range(300)]
    await import_file(client, contacts_db, csv_of(*(f"{one},Old,,,," for one in people_[:150])), consent=None)
    before = await people(contacts_db)
    done = await import_file(client, contacts_db, csv_of(*(f"{one},New,,,," for one in people_)))
    assert (await client.post(f"/v1/imports/{done['id']}/undo")).status_code == 202
    stops = 0
    for _ in range(200):
        async with service.jobs_running(contacts_db):
            await asyncio.sleep(0.05)
        found = (await client.get(f"/v1/imports/{done['id']}")).json()["undo"]
        if found["status"] == "completed":
            break
        stops += 0 < found["removed"] + found["restored"] < 300
    assert found["status"] == "completed", found
    assert (found["removed"], found["restored"], found["kept"]) == (150, 150, 0), f"stopped {stops} times on the way"
    assert await people(contacts_db) == before
    erased = await outbox_events(contacts_db.worker, "lead.erased")
    assert len({event.data.contact_id for event in erased}) == len(erased) == 150
