from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from common.contracts.campaigns import Purpose, WorkspaceChangedV1
from common.contracts.email import (
    EmailBouncedV1,
    EmailComplainedV1,
    EmailExpiredV1,
    EmailFailedV1,
    EmailRepliedV1,
    EmailUnsubscribedV1,
)
from common.contracts.leads import ErasureDoneV1, LeadErasedV1, LeadScoredV1
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing import deliver, deliver_shuffled, outbox_events
from contacts.consumers.subscriptions import consumers
from contacts.use_cases.suppressions import lift_expired

from tests.integration.contacts.service import csv_of, import_file

CONSENT = {"status": "subscribed", "source": "form"}


def main():
    return next(consumer for consumer in consumers() if consumer.name == "contacts.main")


async def _person(client, email="a@x.example", **fields) -> UUID:
    answer = await client.post("/v1/contacts", json={"email": email, "consent": CONSENT, **fields})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def _see(client, contact_id: UUID):
    return (await client.get(f"/v1/contacts/{contact_id}")).json()


async def _told(database, topic: str):
    return [event.data for event in await outbox_events(database.worker, topic)]


def _mail(contact_id: UUID, workspace_id: UUID) -> dict:
    return {"message_id": new_id(), "kind": "campaign", "contact_id": contact_id, "campaign_id": new_id(),
            "purpose_id": purpose_id(workspace_id, "newsletter")}  # fmt: skip


def _left(contact_id: UUID, workspace_id: UUID, scope: str = "purpose") -> Outgoing:
    data = EmailUnsubscribedV1(**_mail(contact_id, workspace_id), method="one_click", scope=scope, block_id=new_id())
    return Outgoing(workspace_id, data)


def _bounced(contact_id: UUID, workspace_id: UUID, failure: str = "bad_mailbox", blocked: bool = True) -> Outgoing:
    data = EmailFailedV1(**_mail(contact_id, workspace_id), attempt=1, revision=2, provider="x", failure=failure,
                         block_id=new_id() if blocked else None)  # fmt: skip
    return Outgoing(workspace_id, data)


async def test_a_suppression_keeps_only_a_hash_and_tells_delivery(client, contacts_db):
    contact = await _person(client, "Person@Example.com")
    answer = await client.post("/v1/suppressions", json={"email": " person@EXAMPLE.com"})
    assert answer.status_code == 201
    made = answer.json()
    assert (await _see(client, contact))["suppressed"] is True
    found = await client.get("/v1/suppressions", params={"email": "person@example.com"})
    assert [one["id"] for one in found.json()["items"]] == [made["id"]]
    assert (await client.delete(f"/v1/suppressions/{made['id']}")).status_code == 204
    assert (await client.delete(f"/v1/suppressions/{made['id']}")).status_code == 204
    assert (await _see(client, contact))["suppressed"] is False
    told = await _told(contacts_db, "suppression.changed")
    assert [(one.active, one.revision, one.scope) for one in told] == [(True, 1, "address"), (False, 2, "address")]
    async with contacts_db.worker.connection() as connection:
        rows = await connection.fetch("select s::text from suppressions s")
        assert not any("example" in row[0].lower() for row in rows)


async def test_a_domain_is_suppressed_for_everybody_in_it_until_its_time_is_over(client, contacts_db):
    contact = await _person(client, "someone@شرکت.example")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"domain": "شرکت.example", "expires_at": soon}
    assert (await client.post("/v1/suppressions", json=body)).status_code == 201
    assert (await _see(client, contact))["suppressed"] is True
    async with contacts_db.worker.transaction() as tx:
        await tx.execute("update suppressions set expires_at = now() - interval '1 second'")
    assert (await _see(client, contact))["suppressed"] is False
    await lift_expired(contacts_db.worker)
    told = await _told(contacts_db, "suppression.changed")
    assert [(one.scope, one.active, one.revision) for one in told] == [("domain", True, 1), ("domain", False, 2)]


@pytest.mark.parametrize("body", [{}, {"email": "a@x.example", "domain": "x.example"}, {"email": "a@x.example\r\nX: y"},
                                  {"domain": "not a domain"}])  # fmt: skip
async def test_a_suppression_of_nothing_readable_is_refused(client, contacts_db, body):
    answer = await client.post("/v1/suppressions", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert await _told(contacts_db, "suppression.changed") == []


async def test_an_unsubscribe_is_written_down_once_and_answers_deliverys_block(client, contacts_db, workspace_id):
    contact = await _person(client)
    event = _left(contact, workspace_id)
    assert await deliver(contacts_db.worker, main(), [event, event]) == 1
    twin = Outgoing(workspace_id, event.data)  # the same block told under another event id
    await deliver(contacts_db.worker, main(), [twin])
    assert (await _see(client, contact))["consents"][0]["status"] == "unsubscribed"
    lines = (await client.get("/v1/consents", params={"contact_id": str(contact)})).json()["items"]
    assert [line["status"] for line in lines] == ["unsubscribed", "subscribed"]
    (told,) = await _told(contacts_db, "consent.changed")
    assert (told.status, told.revision, told.caused_by) == ("unsubscribed", 2, event.data.block_id)
    await client.post("/v1/consents", json={"contact_id": str(contact), "status": "subscribed", "source": "phone"})
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, event.data)])
    assert (await _see(client, contact))["consents"][0]["status"] == "subscribed"
    told = (await _told(contacts_db, "consent.changed"))[-1]
    assert (told.status, told.revision, told.caused_by) == ("subscribed", 3, event.data.block_id), "lifts it by name"


async def test_leaving_everything_leaves_every_purpose_and_suppresses(client, contacts_db, workspace_id):
    state = WorkspaceChangedV1(
        workspace_id=workspace_id, name="w", revision=2,
        purposes=[Purpose(id=purpose_id(workspace_id, key), key=key) for key in ("newsletter", "offers")],
    )  # fmt: skip
    older = WorkspaceChangedV1(workspace_id=workspace_id, name="old", revision=1)
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, state), Outgoing(workspace_id, older)])
    contact = await _person(client)
    offers = {"contact_id": str(contact), "status": "subscribed", "purpose": "offers", "source": "form"}
    assert (await client.post("/v1/consents", json=offers)).status_code == 201
    await deliver(contacts_db.worker, main(), [_left(contact, workspace_id, "all")])
    now = await _see(client, contact)
    assert {(c["purpose"], c["status"]) for c in now["consents"]} == {
        ("newsletter", "unsubscribed"), ("offers", "unsubscribed"),
    }  # fmt: skip
    assert now["suppressed"] is True
    (told,) = await _told(contacts_db, "suppression.changed")
    assert (told.reason, told.active) == ("unsubscribed_all", True)


async def test_only_a_blocked_bad_mailbox_suppresses(client, contacts_db, workspace_id):
    good, bad = await _person(client, "good@x.example"), await _person(client, "bad@x.example")
    events = [
        _bounced(good, workspace_id, "policy"), _bounced(good, workspace_id, "bad_mailbox", blocked=False),
        _bounced(bad, workspace_id), _bounced(uuid4(), workspace_id),
    ]  # fmt: skip
    await deliver(contacts_db.worker, main(), [*events, events[2]])
    assert [(await _see(client, one))["suppressed"] for one in (good, bad)] == [False, True]
    (told,) = await _told(contacts_db, "suppression.changed")
    assert (told.reason, told.caused_by) == ("bad_mailbox", events[2].data.block_id)


async def test_what_came_back_shows_in_the_activity_and_suppresses_who_is_blocked(client, contacts_db, workspace_id):
    people = [await _person(client, f"{name}@x.example") for name in ("dead", "full", "away", "angry", "kind", "old")]
    dead, full, away, angry, kind, old = (_mail(one, workspace_id) for one in people)
    dead, full, away, angry, kind = ({**one, "provider": "x"} for one in (dead, full, away, angry, kind))
    blocks = [new_id() for _ in range(4)]
    events = [
        EmailBouncedV1(**dead, bounce="hard", reason="moved", block_id=blocks[0]),
        EmailBouncedV1(**full, bounce="soft", reason="inactive", block_id=blocks[1]),
        EmailBouncedV1(**away, bounce="soft", reason="policy"),
        EmailComplainedV1(**angry, reason="abuse", block_id=blocks[2]),
        EmailRepliedV1(**kind),
        EmailExpiredV1(**old, attempt=9, revision=9, block_id=blocks[3]),
    ]
    await deliver_shuffled(contacts_db.worker, main(), [Outgoing(workspace_id, one) for one in events], seed=1)
    assert [(await _see(client, one))["suppressed"] for one in people] == [True, True, False, True, False, True]
    told = {(one.caused_by, one.reason) for one in await _told(contacts_db, "suppression.changed")}
    assert told == {(blocks[0], "bad_mailbox"), (blocks[1], "mailbox_full"), (blocks[2], "complaint"),
                    (blocks[3], "mailbox_full")}  # fmt: skip
    rule = {"event": "email.bounced", "op": "at_least", "value": 1}
    assert (await client.post("/v1/segments/preview", json={"rule": rule})).json()["count"] == 3


async def test_the_highest_revision_of_a_score_stands_in_any_order(client, contacts_db, workspace_id):
    contact = await _person(client)
    scores = [Outgoing(workspace_id, LeadScoredV1(contact_id=contact, score=s, grade=g, revision=r))
              for s, g, r in ((10.0, "C", 1), (30.5, "A", 3), (20.0, "B", 2))]  # fmt: skip
    for event in reversed(scores):
        await deliver(contacts_db.worker, main(), [event])
    await deliver(contacts_db.worker, main(), scores)
    now = await _see(client, contact)
    assert (now["score"], now["grade"], now["revision"]) == (30.5, "A", 1)
    assert await _told(contacts_db, "lead.updated") == []


async def test_an_import_never_raises_the_consent_of_who_left(client, contacts_db, workspace_id):
    left = await _person(client, "left@x.example")
    await deliver(contacts_db.worker, main(), [_left(left, workspace_id)])
    waiting = {"status": "pending", "source": "double opt-in"}
    await client.post("/v1/contacts", json={"email": "pending@x.example", "consent": waiting})
    await client.post("/v1/contacts", json={"email": "new@x.example"})
    for target in ({"email": "bounced@x.example"}, {"domain": "blocked.example"}):
        assert (await client.post("/v1/suppressions", json=target)).status_code == 201
    gone = await _person(client, "gone@x.example")
    await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(gone)})
    names = ["LEFT@x.example", "pending@x.example", "new@x.example", "bounced@x.example", "a@blocked.example",
             "gone@x.example", "fresh@x.example"]  # fmt: skip
    done = await import_file(client, contacts_db, csv_of(*(f"{n},First,Last,City,GB,en" for n in names)))
    assert done["rows"] == {"read": 7, "created": 3, "updated": 3, "unchanged": 0, "skipped": 0, "rejected": 1}
    stands = {}
    for one in (await client.get("/v1/contacts")).json()["items"]:
        stands[one["email"]] = [c["status"] for c in (await _see(client, one["id"]))["consents"]]
    assert stands == {
        "left@x.example": ["unsubscribed"], "pending@x.example": ["pending"], "new@x.example": ["subscribed"],
        "bounced@x.example": [], "a@blocked.example": [], "fresh@x.example": ["subscribed"],
    }  # fmt: skip
    rejects = (await client.get(f"/v1/imports/{done['id']}/rejects")).text
    assert "erased" in rejects
    assert "gone@x.example" not in rejects


async def test_erasing_blanks_everything_here_and_follows_the_other_services(client, contacts_db, workspace_id):
    contact = await _person(client, "Gone.Person@x.example", first_name="Gonzalo", tags=["vip"])
    await import_file(client, contacts_db, csv_of("gone.person@x.example,Gonzalo,L,City,Nowhere,en"))
    answer = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(contact)})
    assert answer.status_code == 202
    request = answer.json()
    assert (await client.get(f"/v1/contacts/{contact}")).status_code == 404
    assert (await client.get("/v1/contacts", params={"email": "gone.person@x.example"})).json()["items"] == []
    (told,) = await _told(contacts_db, "lead.erased")
    assert isinstance(told, LeadErasedV1)
    assert (told.contact_id, str(told.request_id), len(told.address_hashes)) == (contact, request["id"], 1)
    # Late and doubled events find the tombstone.
    scored = LeadScoredV1(contact_id=contact, score=5, grade="A", revision=9)
    late = [_left(contact, workspace_id, "all"), _bounced(contact, workspace_id), Outgoing(workspace_id, scored)]
    await deliver(contacts_db.worker, main(), late)
    assert await _told(contacts_db, "suppression.changed") == []
    async with contacts_db.worker.connection() as connection:
        tables = await connection.fetch(
            "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'public' and c.relkind in ('r', 'p')"
        )
        for (table,) in tables:
            if table == "outbox":  # on its way to the bus, which forgets within seven days
                continue
            rows = [row[0] for row in await connection.fetch(f'select t::text from "{table}" t')]
            assert not [row for row in rows if "gonzalo" in row.lower() or "gone.person" in row.lower()], table
    for service in ("delivery", "campaigns", "analytics"):
        seen = (await client.get(f"/v1/privacy-requests/{request['id']}")).json()
        assert seen["status"] == "running"
        done = ErasureDoneV1(contact_id=contact, request_id=UUID(request["id"]), service=service)
        event = Outgoing(workspace_id, done)
        await deliver(contacts_db.worker, main(), [event, event])
    seen = (await client.get(f"/v1/privacy-requests/{request['id']}")).json()
    assert seen["status"] == "completed"
    assert all(one["done_at"] for one in seen["services"])
    again = await client.post("/v1/privacy-requests", json={"kind": "erase", "contact_id": str(contact)})
    assert again.status_code == 404


async def test_who_left_at_a_providers_page_is_suppressed_by_the_address_alone(client, contacts_db, workspace_id):
    contact = await _person(client, "person@x.example")
    async with contacts_db.worker.connection() as connection:
        hash_ = await connection.fetchval("select address_hash from contacts where id = $1", contact)
    data = EmailUnsubscribedV1(
        message_id=new_id(), kind="single", method="page", scope="all", block_id=new_id(), address_hash=hash_.hex()
    )
    await deliver(contacts_db.worker, main(), [Outgoing(workspace_id, data), Outgoing(workspace_id, data)])
    assert (await _see(client, contact))["suppressed"] is True
    (told,) = await _told(contacts_db, "suppression.changed")
    assert (told.reason, told.caused_by, told.active) == ("unsubscribed_all", data.block_id, True)
