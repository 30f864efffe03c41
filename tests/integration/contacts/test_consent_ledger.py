"""The ledger: who decides, as of any date, in whatever order things were told."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.contracts.leads import ConsentChangedV1
from common.ids import new_id, purpose_id
from common.testing.deliver import outbox_events
from contacts.db import consents
from contacts.db.consents import ConsentRecord
from contacts.use_cases.consents import end_expired, end_pauses
from contacts.use_cases.may_mail import may_mail
from contacts.use_cases.suppressions import lift_expired
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.databases import service_database
from tests.fixtures.properties import times
from tests.integration.contacts.people import Someone, store

EMAIL = "sara@example.com"
START = datetime(2026, 3, 21, 8, tzinfo=UTC)


async def create(client, email=EMAIL, **consent):
    body = {"email": email}
    if consent:
        body["consent"] = {"source": "expo 2026", **consent}
    answer = await client.post("/v1/contacts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def decision(client, contact_id, as_of=None):
    answer = await client.get(f"/v1/contacts/{contact_id}/consents", params={"as_of": as_of} if as_of else {})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["purposes"]
    return found


async def test_a_consent_keeps_what_proves_it(client):
    proof = {
        "basis": "consent", "express": True, "expires_at": "2099-01-01T00:00:00Z", "wording_version": 3,
        "wording_language": "fa", "ip": "2001:db8::1", "agent": "Firefox/140", "happened_at": "2026-03-21T08:00:00Z",
    }  # fmt: skip
    contact_id = await create(client, status="subscribed", evidence="a signed sheet", **proof)
    (line,) = (await client.get("/v1/consents", params={"contact_id": contact_id})).json()["items"]
    assert {name: line[name] for name in proof} == proof
    assert (line["status"], line["channel"], line["evidence"]) == ("subscribed", "email", "a signed sheet")
    assert line["actor"].startswith("member:")


async def test_the_answer_is_that_of_the_day_with_what_decided(client):
    contact_id = await create(client)
    for status, day in (("subscribed", 1), ("unsubscribed", 11)):
        body = {
            "contact_id": contact_id, "status": status, "source": "by telephone",
            "happened_at": f"2026-03-{day:02}T00:00:00Z",
        }  # fmt: skip
        assert (await client.post("/v1/consents", json=body)).status_code == 201
    asked = {day: await decision(client, contact_id, f"2026-{day}T12:00:00Z") for day in ("02-27", "03-10", "03-12")}
    assert [(one["may_mail"], one["reason"]) for one in asked.values()] == [
        (False, "no_consent"), (True, "subscribed"), (False, "unsubscribed"),
    ]  # fmt: skip
    assert asked["02-27"]["record"] is None
    assert asked["03-10"]["record"]["status"] == "subscribed"
    assert "2026-03-11 00:00 UTC (by telephone" in asked["03-12"]["explanation"]


async def test_a_suppression_stands_in_the_way_on_the_days_it_stood(client):
    contact_id = await create(client, status="subscribed")
    made = (await client.post("/v1/suppressions", json={"domain": "example.com", "reason": "manual"})).json()
    before = datetime.now(UTC).isoformat()
    suppressed = await decision(client, contact_id)
    assert (suppressed["may_mail"], suppressed["reason"]) == (False, "suppressed")
    assert suppressed["suppression"]["scope"] == "domain"
    assert suppressed["record"]["status"] == "subscribed"
    assert "domain has been suppressed" in suppressed["explanation"]
    assert (await client.delete(f"/v1/suppressions/{made['id']}")).status_code == 204
    assert (await decision(client, contact_id))["may_mail"]
    assert not (await decision(client, contact_id, before))["may_mail"]


async def test_the_erased_keep_their_ledger_without_what_names_them(client):
    contact_id = await create(client, status="subscribed", ip="192.0.2.7", agent="Firefox/140", evidence="mine")
    before = datetime.now(UTC).isoformat()
    made = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": contact_id})
    assert made.status_code == 202, made.text
    assert (await decision(client, contact_id))["reason"] == "erased"
    found = await decision(client, contact_id, before)
    assert found["may_mail"]
    assert (found["record"]["ip"], found["record"]["agent"], found["record"]["evidence"]) == (None, None, None)


async def test_an_unknown_contact_and_purpose_are_told(client):
    assert (await client.get(f"/v1/contacts/{new_id()}/consents")).status_code == 404
    contact_id = await create(client)
    answer = await client.get(f"/v1/contacts/{contact_id}/consents", params={"purpose": "nothing"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_purpose")


async def test_tracking_is_a_consent_of_its_own(client):
    contact_id = await create(client, status="subscribed", tracking="individual")
    asked = (await client.get(f"/v1/contacts/{contact_id}/consents")).json()
    assert asked["tracking"]["may_track"]
    assert asked["tracking"]["record"]["channel"] == "tracking"
    body = {"contact_id": contact_id, "status": "subscribed", "source": "letter", "tracking": "none"}
    assert (await client.post("/v1/consents", json=body)).status_code == 201
    asked = (await client.get(f"/v1/contacts/{contact_id}/consents")).json()
    assert not asked["tracking"]["may_track"]
    assert asked["purposes"][0]["may_mail"]


async def test_a_consent_that_expires_ends_by_itself(client, contacts_db):
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    contact_id = await create(client, status="subscribed", express=False, expires_at=soon)
    assert (await decision(client, contact_id))["may_mail"]
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    assert (await decision(client, contact_id, later))["reason"] == "expired"
    async with contacts_db.worker.connection() as tx:
        await tx.execute("update consents set expires_at = now() - interval '1 second'")
    for _ in range(2):
        await end_expired(contacts_db.worker)
    told = [e.data for e in await outbox_events(contacts_db.worker) if isinstance(e.data, ConsentChangedV1)]
    assert [(one.status, one.revision) for one in told] == [("none", 2)]
    lines = (await client.get("/v1/consents", params={"contact_id": contact_id})).json()["items"]
    assert [(line["status"], line["actor"]) for line in lines][:1] == [("none", "expiry")]
    assert len(lines) == 2
    assert (await decision(client, contact_id))["reason"] == "no_consent"


async def test_a_pause_that_is_over_is_told_and_lifts_nothing_else(client, contacts_db, workspace_id):
    contact_id = await create(client, status="subscribed")
    assert (await client.post("/v1/suppressions", json={"email": EMAIL})).status_code == 201
    until = datetime.now(UTC) + timedelta(days=30)
    line = ConsentRecord(
        workspace_id, UUID(contact_id), purpose_id(workspace_id, "newsletter"), "subscribed", "preferences", None, 1,
        "recipient", paused_until=until,
    )  # fmt: skip
    async with contacts_db.worker.transaction() as tx:
        (state,) = await consents.append(tx, [line])
    assert (state["status"], state["paused_until"]) == ("subscribed", until)
    await end_pauses(contacts_db.worker)
    assert not [e for e in await outbox_events(contacts_db.worker) if isinstance(e.data, ConsentChangedV1)]
    async with contacts_db.worker.connection() as tx:
        await tx.execute("update consents set paused_until = now() - interval '1 second'")
    for _ in range(2):
        await end_pauses(contacts_db.worker)
        await lift_expired(contacts_db.worker)
    told = [e.data for e in await outbox_events(contacts_db.worker) if isinstance(e.data, ConsentChangedV1)]
    assert [(one.status, one.paused_until, one.revision) for one in told] == [("subscribed", None, 3)]
    assert (await decision(client, contact_id))["reason"] == "suppressed"


@dataclass(frozen=True)
class Said:
    """One thing a person said, and when."""

    minute: int
    status: str
    pause: int | None
    expires: int | None
    block: bool


SAYINGS = st.lists(
    st.builds(
        Said,
        st.integers(0, 60),
        st.sampled_from(["subscribed", "unsubscribed", "pending", "none"]),
        st.none() | st.integers(1, 90),
        st.none() | st.integers(1, 90),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.minute,
)


def model(said: list[Said], minute: int) -> str:
    """The last thing said by then decides."""
    by_then = sorted((one for one in said if one.minute <= minute), key=lambda one: one.minute)
    if not by_then:
        return "no_consent"
    last = by_then[-1]
    if last.status != "subscribed":
        return {"unsubscribed": "unsubscribed", "pending": "unconfirmed", "none": "no_consent"}[last.status]
    if last.expires is not None and last.minute + last.expires <= minute:
        return "expired"
    if last.pause is not None and last.minute + last.pause > minute:
        return "paused"
    return "subscribed"


async def test_decisions_are_those_of_a_plain_model_in_any_order(postgres) -> None:
    """Late and doubled: the set of what was said decides, not the order in which it came."""
    async with service_database(postgres, "contacts") as database:
        loop = asyncio.get_running_loop()

        async def attempt(told: list[Said], minutes: list[int]) -> None:
            workspace_id, someone = new_id(), Someone(EMAIL, None)
            await store(database.worker, workspace_id, [someone])
            purpose = purpose_id(workspace_id, "newsletter")
            blocks = {one: new_id() for one in told if one.block}
            for one in told:
                at = START + timedelta(minutes=one.minute)
                line = ConsentRecord(
                    workspace_id, someone.id, purpose, one.status, "test", None, 1, "test",
                    caused_by=blocks.get(one), happened_at=at,
                    paused_until=at + timedelta(minutes=one.pause) if one.pause else None,
                    expires_at=at + timedelta(minutes=one.expires) if one.expires else None,
                )  # fmt: skip
                async with database.worker.transaction() as tx:
                    await consents.append(tx, [line])
            said = list(dict.fromkeys(told))
            async with database.worker.transaction() as tx:
                for minute in minutes:
                    found = await may_mail(tx, workspace_id, someone.id, START + timedelta(minutes=minute))
                    assert found.purposes[0].decision.reason == model(said, minute)
                (state,) = await consents.of_contact(tx, workspace_id, someone.id)
                last = max(said, key=lambda one: one.minute)
                assert state["status"] == last.status
                assert state["decided_at"] == START + timedelta(minutes=last.minute)

        @settings(max_examples=times(100, 1000), deadline=None, database=None)
        @given(st.data())
        def run(data: st.DataObject) -> None:
            said = data.draw(SAYINGS)
            doubled = said + data.draw(st.lists(st.sampled_from(said), max_size=3))
            order = data.draw(st.permutations(doubled))
            minutes = data.draw(st.lists(st.integers(-1, 160), min_size=1, max_size=4))
            asyncio.run_coroutine_threadsafe(attempt(order, minutes), loop).result(30)

        await asyncio.to_thread(run)
