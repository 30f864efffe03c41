"""Lead scores over HTTP and to the bus."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.consumers.subscriptions import ingest, scoring
from analytics.main import create_app
from analytics.settings import Settings
from analytics.use_cases.scoring import score_due_contacts
from common.contracts import email, leads
from common.outbox.writer import Outgoing
from common.testing import deliver, outbox_events

NOW = datetime.now(UTC)


@pytest.fixture
async def api(analytics_db: Any, service_env: Any, keys: Any, http_client: Any, workspace_id: UUID) -> Any:
    service_env("analytics", analytics_db)
    app = create_app(Settings())
    async with http_client(app, keys.token(workspace_id)) as client:
        yield client


def click(workspace_id: UUID, contact_id: UUID, *, at: datetime = NOW, machine: bool = False) -> Outgoing:
    data = email.EmailClickedV1(
        message_id=uuid4(), kind="campaign", contact_id=contact_id, campaign_id=uuid4(), link=0,
        url="https://x.example/", machine=machine,
    )  # fmt: skip
    return Outgoing(workspace_id, data, time=at)


async def score_later(analytics_db: Any) -> int:
    """Let two seconds pass for the database, and score who is due."""
    async with analytics_db.worker.transaction() as tx:
        await tx.execute("update score_due set due_at = due_at - interval '2 seconds'")
        return await score_due_contacts(tx, datetime.now(UTC))


async def test_a_click_scores_and_tells_why(analytics_db: Any, api: Any, workspace_id: UUID) -> None:
    person = uuid4()
    clicked = click(workspace_id, person)
    await deliver(analytics_db.worker, scoring(0), [clicked, clicked])
    assert await score_later(analytics_db) == 1
    found = (await api.get(f"/v1/leads/{person}/score")).json()
    assert found["score"] == pytest.approx(10, abs=0.1)
    assert [(r["rule"], r["points"], r["event_id"]) for r in found["reasons"]] == [("clicked", 10.0, str(clicked.id))]
    told = [event.data for event in await outbox_events(analytics_db.worker)]
    assert [(t.contact_id, t.revision, t.reasons) for t in told] == [(person, 1, ["clicked"])]
    assert (await api.get("/v1/leads")).json()["items"][0]["contact_id"] == str(person)


async def test_what_contacts_did_elsewhere_scores_by_the_rules_of_the_workspace(
    analytics_db: Any, api: Any, workspace_id: UUID
) -> None:
    person = uuid4()
    rule = {"key": "attended", "type": "webinar.attended", "points": 30, "half_life_days": 60, "cap": 100}
    assert (await api.put("/v1/scoring", json={"rules": [rule], "grades": []})).status_code == 200
    wrong = await api.put("/v1/scoring", json={"rules": [{**rule, "type": "email.sent"}], "grades": []})
    assert (wrong.status_code, wrong.json()["errors"][0]["where"]) == (422, "/rules/0/type")
    told = [
        Outgoing(workspace_id, leads.ContactActivityV1(contact_id=person, type=type_, occurred_at=NOW))
        for type_ in ("webinar.attended", "order.placed")
    ]
    await deliver(analytics_db.worker, scoring(0), [*told, told[0]])
    assert await score_later(analytics_db) == 1
    found = (await api.get(f"/v1/leads/{person}/score")).json()
    assert [(r["rule"], r["event_id"]) for r in found["reasons"]] == [("attended", str(told[0].id))]


async def test_machines_do_not_score(analytics_db: Any, workspace_id: UUID) -> None:
    await deliver(analytics_db.worker, scoring(0), [click(workspace_id, uuid4(), machine=True)])
    assert await score_later(analytics_db) == 0


async def test_a_click_does_not_count_before_it_has_settled(analytics_db: Any, api: Any, workspace_id: UUID) -> None:
    person = uuid4()
    lead = leads.LeadCreatedV1(contact_id=person, revision=1, email="p@x.example", created_at=NOW)
    await deliver(analytics_db.worker, ingest(), [Outgoing(workspace_id, lead)])
    await deliver(analytics_db.worker, scoring(60), [click(workspace_id, person)])
    assert await score_later(analytics_db) == 0
    assert (await api.get(f"/v1/leads/{person}/score")).json()["score"] == 0


async def test_a_score_that_did_not_change_is_not_told_again(analytics_db: Any, workspace_id: UUID) -> None:
    person = uuid4()
    await deliver(analytics_db.worker, scoring(0), [click(workspace_id, person, at=NOW + timedelta(days=1))])
    await score_later(analytics_db)
    async with analytics_db.worker.transaction() as tx:
        await tx.execute("insert into score_due select workspace_id, contact_id, now() from lead_scores")
    assert await score_later(analytics_db) == 1
    assert len(await outbox_events(analytics_db.worker)) == 1


async def test_new_rules_score_everybody_again(analytics_db: Any, api: Any, workspace_id: UUID) -> None:
    person = uuid4()
    await deliver(analytics_db.worker, scoring(0), [click(workspace_id, person, at=NOW + timedelta(days=1))])
    await score_later(analytics_db)
    body = {
        "rules": [{"key": "clicked", "type": "email.clicked", "points": 3, "half_life_days": 10, "cap": 30}],
        "grades": [{"grade": "A", "from_score": 3}],
    }
    answer = await api.put("/v1/scoring", json=body)
    assert (answer.status_code, answer.json()["revision"]) == (200, 1)
    await score_later(analytics_db)
    told = [event.data for event in await outbox_events(analytics_db.worker)]
    assert [(t.score, t.grade, t.revision) for t in told][-1] == (3.0, "A", 2)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"type": "email.sent"}, "type"),
        ({"half_life_days": 0}, "half_life_days"),
        ({"points": 10**9}, "points"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused_and_says_where(
    api: Any, change: dict[str, Any], where: str
) -> None:
    rule = {"key": "clicked", "type": "email.clicked", "points": 3, "half_life_days": 10, "cap": 30, **change}
    answer = await api.put("/v1/scoring", json={"rules": [rule], "grades": []})
    assert answer.status_code == 422
    assert where in answer.text
    assert (await api.get("/v1/scoring")).json()["revision"] == 0


async def test_an_unknown_lead_is_not_found(api: Any) -> None:
    answer = await api.get(f"/v1/leads/{uuid4()}/score")
    assert (answer.status_code, answer.json()["code"]) == (404, "lead_not_found")


def merged(workspace_id: UUID, gone: UUID, kept: UUID, revision: int = 1, *, active: bool = True) -> Outgoing:
    data = leads.LeadMergedV1(merged_id=gone, contact_id=kept, active=active, revision=revision)
    return Outgoing(workspace_id, data)


@pytest.mark.parametrize("merged_first", [True, False])
async def test_what_a_merged_contact_did_counts_for_whom_it_became_until_that_is_taken_back(
    analytics_db: Any, api: Any, workspace_id: UUID, merged_first: bool
) -> None:
    kept, gone = uuid4(), uuid4()
    later = NOW + timedelta(days=1)  # nothing of a click in the future has decayed
    clicks = [click(workspace_id, kept, at=later), click(workspace_id, gone, at=later)]
    told = merged(workspace_id, gone, kept)
    for one in [told, *clicks] if merged_first else [*clicks, told]:
        await deliver(analytics_db.worker, scoring(0), [one, one])
        await score_later(analytics_db)
    shown = (await api.get("/v1/leads")).json()["items"]
    assert [(one["contact_id"], one["score"]) for one in shown] == [(str(kept), 20.0)]
    assert (await api.get(f"/v1/leads/{kept}/score")).json()["score"] == 20
    await deliver(analytics_db.worker, scoring(0), [merged(workspace_id, gone, kept, 2, active=False), told])
    await score_later(analytics_db)
    shown = (await api.get("/v1/leads")).json()["items"]
    assert {(one["contact_id"], one["score"]) for one in shown} == {(str(kept), 10.0), (str(gone), 10.0)}
    scored = [event.data for event in await outbox_events(analytics_db.worker)]
    for person in (kept, gone):
        revisions = [one.revision for one in scored if one.contact_id == person]
        assert revisions == sorted(set(revisions))
