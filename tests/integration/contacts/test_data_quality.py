"""How good the contacts are, and how long what is known of them is kept."""

from datetime import timedelta

from common.ids import new_id
from contacts.use_cases.data_quality import reckon_everywhere
from contacts.use_cases.enrichment import enrich_everywhere
from contacts.use_cases.retention import enforce_everywhere

from tests.integration.contacts.people import Someone, happened, store, suppress
from tests.integration.contacts.test_live_segments import build, caught_up, create, members

OLD, RECENT = timedelta(days=400), timedelta(days=20)


async def test_a_days_state_tells_completeness_doubles_and_decay(client, contacts_db, workspace_id):
    before = (await client.get("/v1/data-quality")).json()
    assert (before["at"], before["contacts"]) == (None, 0)
    people = [
        Someone(
            "info@acme.example", fields={"first_name": "Sara", "phone": "+98", "phone_normalised": "+989123456789"}
        ),
        Someone("asleep@gmail.com"),
        Someone("awake@gmail.com"),
        Someone("gone@mailinator.com", fields={"country": "DE"}),
    ]
    db = contacts_db.worker
    await store(db, workspace_id, people)
    for one in people[1:3]:
        await happened(db, workspace_id, one.id, "email.sent", RECENT)
    await happened(db, workspace_id, people[2].id, "email.opened", RECENT)
    await happened(db, workspace_id, people[1].id, "email.opened", RECENT, machine=True)
    await happened(db, workspace_id, people[1].id, "email.clicked", OLD)
    await happened(db, workspace_id, people[3].id, "email.bounced", RECENT)
    await suppress(db, workspace_id, "address", "gone@mailinator.com")
    async with db.transaction(workspace_id) as tx:
        await tx.execute("insert into workspaces (workspace_id) values ($1)", workspace_id)
        await tx.execute(
            "insert into duplicate_pairs (workspace_id, first_id, second_id, score, reasons)"
            " values ($1, $2, $3, 1, '{phone}')",
            workspace_id, people[0].id, people[1].id,
        )  # fmt: skip
        await tx.execute(
            "insert into data_quality values ($1, current_date - 1, now() - interval '1 day', 1, '{}')", workspace_id
        )
    await enrich_everywhere(db)
    for _ in range(2):
        await reckon_everywhere(db)

    now = (await client.get("/v1/data-quality")).json()
    assert (now["contacts"], now["duplicates_waiting"]) == (4, 1)
    fields = {one["field"]: (one["count"], one["concluded"], one["share"]) for one in now["completeness"]}
    assert (fields["country"], fields["first_name"], fields["city"]) == ((2, 1, 0.5), (1, 0, 0.25), (0, 0, 0.0))
    assert fields["company"] == (1, 1, 0.25)
    assert {name: now["decay"][name]["count"] for name in ("bounced", "asleep", "unreachable")} == {
        "bounced": 1, "asleep": 1, "unreachable": 1,
    }  # fmt: skip
    assert {name: one["count"] for name, one in now["addresses"].items()} == {
        "role": 1, "disposable": 1, "freemail": 2,
    }  # fmt: skip
    days = (await client.get("/v1/data-quality/history", params={"limit": 1})).json()
    rest = (await client.get("/v1/data-quality/history", params={"cursor": days["next_cursor"]})).json()
    assert [one["contacts"] for one in [*days["items"], *rest["items"]]] == [4, 1]


async def test_what_is_kept_long_enough_goes_and_what_proves_a_consent_stays(client, contacts_db, workspace_id):
    db, sara = contacts_db.worker, Someone("sara@acme.example")
    await store(db, workspace_id, [sara])
    await happened(db, workspace_id, sara.id, "email.opened", OLD)
    segment = await create(db, workspace_id, {"event": "email.opened", "op": "at_least", "value": 1})
    await build(db)
    await caught_up(db)
    assert await members(db, segment) == {sara.id}
    await happened(db, workspace_id, sara.id, "email.sent", OLD)
    await happened(db, workspace_id, sara.id, "email.sent", RECENT)
    async with db.transaction(workspace_id) as tx:
        await tx.execute("insert into workspaces (workspace_id) values ($1)", workspace_id)
        for outcome in ("asked", "confirmed", "subscribed"):
            await tx.execute(
                "insert into form_submissions (workspace_id, id, form_id, contact_id, address_hash, outcome, language,"
                " at) values ($1, $2, $2, $3, '', $4, 'fa', now() - interval '400 days')",
                workspace_id, new_id(), sara.id, outcome,
            )  # fmt: skip
        for one, days in ((new_id(), 400), (new_id(), 20)):
            await tx.execute(
                "insert into imports (workspace_id, id, status, options, columns, encoding, delimiter, created_by,"
                " finished_at)"
                " values ($1, $2, 'completed', '{}', '{}', 'utf-8', ',', '', now() - make_interval(days => $3))",
                workspace_id, one, days,
            )  # fmt: skip
            await tx.execute(
                "insert into import_rejects (workspace_id, import_id, row, code, message, cells)"
                " values ($1, $2, 1, 'invalid_email', '', '{}')",
                workspace_id, one,
            )  # fmt: skip

    async def due() -> dict[str, int]:
        return {one["kind"]: one["due"] for one in (await client.get("/v1/retention")).json()["kinds"]}

    nothing = {"activity": 0, "form_submissions": 0, "contact_notes": 0, "stage_transitions": 0, "import_rejects": 0}
    assert await due() == nothing | {"import_rejects": 1}
    short = await client.put("/v1/retention", json={"activity": 5})
    assert (short.status_code, short.json()["code"]) == (422, "invalid")
    first = {"If-Match": (await client.get("/v1/retention")).headers["etag"]}
    found = await client.put("/v1/retention", json={"activity": 365, "form_submissions": 365}, headers=first)
    assert found.status_code == 200, found.text
    assert await due() == nothing | {"activity": 2, "form_submissions": 1, "import_rejects": 1}
    stale = await client.put("/v1/retention", json={}, headers=first)
    assert stale.status_code == 412

    await enforce_everywhere(db)
    assert await due() == nothing
    async with db.connection() as connection:
        left = await connection.fetch("select type from activity")
        kept = await connection.fetch("select outcome from form_submissions order by 1")
        assert await connection.fetchval("select count(*) from import_rejects") == 1
    assert [row["type"] for row in left] == ["email.sent"]
    assert [row["outcome"] for row in kept] == ["confirmed", "subscribed"]
    await caught_up(db)
    assert await members(db, segment) == set(), "segments look again at whom something is gone of"
