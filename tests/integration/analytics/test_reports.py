"""Facts into reports: counted once, in any order, machines apart."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.consumers.subscriptions import ingest
from analytics.main import create_app
from analytics.settings import Settings
from common.contracts import audiences, campaigns, email, leads
from common.outbox.writer import Outgoing
from common.testing import deliver, deliver_shuffled, outbox_events

NOW = datetime.now(UTC)


class Campaign:
    """A campaign with three messages, and the events about them."""

    def __init__(self, workspace_id: UUID) -> None:
        self.workspace_id, self.id = workspace_id, uuid4()
        self.messages = [uuid4() for _ in range(3)]
        self.contacts = [uuid4() for _ in range(3)]

    def about(self, n: int) -> dict[str, Any]:
        return {
            "message_id": self.messages[n], "kind": "campaign", "contact_id": self.contacts[n],
            "campaign_id": self.id, "purpose_id": UUID(int=1), "variant_id": "fa",
        }  # fmt: skip

    def tell(self, data: Any, after_s: float = 0) -> Outgoing:
        return Outgoing(self.workspace_id, data, time=NOW + timedelta(seconds=after_s))

    def started(self) -> Outgoing:
        return self.tell(
            campaigns.CampaignStartedV1(
                campaign_id=self.id, name="پاییز", purpose_id=UUID(int=1), content={},
                sender=campaigns.Sender(name="B", email="b@x.example"), audience=campaigns.AudienceRule(),
            )
        )  # fmt: skip

    def closed(self) -> Outgoing:
        return self.tell(
            audiences.AudienceClosedV1(
                campaign_id=self.id, audience=4, excluded={"unsubscribed": 1}, eligible=3, batches=1
            )
        )

    def sent(self, n: int, revision: int = 2) -> Outgoing:
        return self.tell(email.EmailSentV1(**self.about(n), attempt=1, revision=revision, provider="other"))

    def uncertain(self, n: int, revision: int = 2) -> Outgoing:
        return self.tell(email.EmailUncertainV1(**self.about(n), attempt=1, revision=revision, cause="dropped"))

    def failed(self, n: int) -> Outgoing:
        return self.tell(
            email.EmailFailedV1(**self.about(n), attempt=1, revision=2, provider="other", failure="bad_mailbox")
        )

    def opened(self, n: int, machine: bool = False) -> Outgoing:
        return self.tell(email.EmailOpenedV1(**self.about(n), machine=machine))

    def clicked(self, n: int, link: int = 0, machine: bool = False) -> Outgoing:
        return self.tell(
            email.EmailClickedV1(**self.about(n), link=link, url=f"https://x.example/{link}", machine=machine), 60
        )

    def left(self, n: int) -> Outgoing:
        return self.tell(
            email.EmailUnsubscribedV1(**self.about(n), method="one_click", scope="purpose", block_id=uuid4())
        )


@pytest.fixture
def campaign(workspace_id: UUID) -> Campaign:
    return Campaign(workspace_id)


@pytest.fixture
async def api(analytics_db: Any, service_env: Any, keys: Any, http_client: Any, workspace_id: UUID) -> Any:
    service_env("analytics", analytics_db)
    app = create_app(Settings())
    async with http_client(app, keys.token(workspace_id)) as client:
        yield client


async def report(api: Any, campaign: Campaign) -> dict[str, Any]:
    answer = await api.get(f"/v1/reports/campaigns/{campaign.id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_report_counts_people_once_and_machines_apart(analytics_db: Any, api: Any, campaign: Campaign) -> None:
    events = [
        campaign.started(), campaign.closed(), campaign.sent(0), campaign.sent(1), campaign.failed(2),
        campaign.opened(0), campaign.opened(0), campaign.opened(1, machine=True),
        campaign.clicked(0, 0), campaign.clicked(0, 1), campaign.clicked(1, 1, machine=True), campaign.left(1),
    ]  # fmt: skip
    await deliver(analytics_db.worker, ingest(), events)
    found = await report(api, campaign)
    assert (found["sent"], found["delivered"], found["failed"]) == (2, 2, {"bad_mailbox": 1})
    assert found["opens"] == {"total": 2, "unique": 1, "machine": 1}
    assert found["clicks"] == {"total": 2, "unique": 1, "machine": 1}
    assert found["machine_clicks"] == {"machine": 1}
    assert found["unsubscribed"] == 1
    assert (found["audience"], found["eligible"], found["excluded"]) == (4, 3, {"unsubscribed": 1})
    assert [(link["link"], link["unique"]) for link in found["links"]] == [(0, 1), (1, 1)]


@pytest.mark.parametrize("seed", range(5))
async def test_doubled_and_permuted_events_give_the_same_report(
    seed: int, analytics_db: Any, api: Any, campaign: Campaign
) -> None:
    events = [
        campaign.started(), campaign.closed(), campaign.uncertain(0, 2), campaign.sent(0, 3), campaign.sent(1),
        campaign.failed(2), campaign.opened(0), campaign.opened(1), campaign.clicked(0), campaign.left(0),
    ]  # fmt: skip
    shuffled = events * 2
    random.Random(seed).shuffle(shuffled)
    for start in range(0, len(shuffled), 3):
        await deliver(analytics_db.worker, ingest(), shuffled[start : start + 3])
    found = await report(api, campaign)
    assert (found["sent"], found["uncertain"], found["failed"]) == (2, 0, {"bad_mailbox": 1})
    assert (found["opens"]["total"], found["opens"]["unique"], found["clicks"]["total"]) == (2, 2, 1)
    assert found["unsubscribed"] == 1


@pytest.mark.parametrize("seed", range(4))
async def test_what_comes_back_is_in_the_report_once_whatever_the_order(
    seed: int, analytics_db: Any, api: Any, campaign: Campaign
) -> None:
    def back(contract: Any, n: int, minutes: int = 0, **more: Any) -> Outgoing:
        data = contract(**campaign.about(n), provider="other", **more)
        return Outgoing(campaign.workspace_id, data, time=NOW + timedelta(minutes=minutes))

    full = {"bounce": "soft", "reason": "mailbox_full"}
    events = [
        campaign.started(), campaign.closed(), campaign.sent(0), campaign.sent(1), campaign.failed(2),
        back(email.EmailBouncedV1, 0, **full), back(email.EmailBouncedV1, 0, 5, bounce="soft", reason="other"),
        back(email.EmailBouncedV1, 1, **full), back(email.EmailBouncedV1, 1, 9, bounce="hard", reason="bad_mailbox"),
        back(email.EmailComplainedV1, 0, reason="abuse"), back(email.EmailComplainedV1, 0, 1, reason="abuse"),
        back(email.EmailRepliedV1, 0), back(email.EmailRepliedV1, 0, 2), back(email.EmailRepliedV1, 1),
        back(email.EmailDeliveredV1, 0),
    ]  # fmt: skip
    await deliver_shuffled(analytics_db.worker, ingest(), events, seed)
    report = (await api.get(f"/v1/reports/campaigns/{campaign.id}")).json()
    assert report["bounced"] == {"bad_mailbox": 2, "mailbox_full": 1}, "one refused at once, one told of later"
    assert (report["sent"], report["delivered"], report["confirmed"]) == (2, 0, 1)
    assert (report["complained"], report["replied"], report["failed"]) == (1, 2, {"bad_mailbox": 1})


async def test_test_mail_is_not_in_the_report(analytics_db: Any, api: Any, campaign: Campaign) -> None:
    test = {**campaign.about(0), "kind": "test"}
    await deliver(
        analytics_db.worker,
        ingest(),
        [
            campaign.started(),
            campaign.tell(email.EmailSentV1(**test, attempt=1, revision=1, provider="other")),
            campaign.tell(email.EmailOpenedV1(**test)),
        ],
    )
    found = await report(api, campaign)
    assert (found["sent"], found["opens"]["total"]) == (0, 0)


async def test_a_report_of_another_workspace_is_not_found(analytics_db: Any, api: Any, campaign: Campaign) -> None:
    foreign = Campaign(uuid4())
    await deliver(analytics_db.worker, ingest(), [foreign.started(), foreign.sent(0)])
    answer = await api.get(f"/v1/reports/campaigns/{foreign.id}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "campaign_not_found"


async def test_facts_far_from_today_are_kept_too(analytics_db: Any, campaign: Campaign) -> None:
    late = Outgoing(campaign.workspace_id, campaign.sent(0).data, time=NOW - timedelta(days=400))
    await deliver(analytics_db.worker, ingest(), [late])
    async with analytics_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from facts") == 1


async def test_an_erased_person_is_forgotten_by_both_consumers_and_then_said_to_be(
    analytics_db: Any, campaign: Campaign
) -> None:
    from analytics.consumers.subscriptions import scoring

    person = campaign.contacts[0]
    erased = campaign.tell(leads.LeadErasedV1(contact_id=person, request_id=uuid4(), address_hashes=[]))
    lead = campaign.tell(
        leads.LeadCreatedV1(contact_id=person, revision=1, email="p@x.example", country="IR", created_at=NOW)
    )
    await deliver(analytics_db.worker, ingest(), [lead, campaign.clicked(0)])
    await deliver(analytics_db.worker, scoring(0), [campaign.clicked(0)])
    await deliver(analytics_db.worker, ingest(), [erased])
    assert [event.data for event in await outbox_events(analytics_db.worker)] == []
    await deliver(analytics_db.worker, scoring(0), [erased])
    told = [event.data for event in await outbox_events(analytics_db.worker)]
    assert [(event.contact_id, event.service) for event in told] == [(person, "analytics")]
    await deliver(analytics_db.worker, ingest(), [lead, erased])
    await deliver(analytics_db.worker, scoring(0), [campaign.opened(0)])
    async with analytics_db.worker.connection() as connection:
        for table in ("leads", "score_events", "score_due", "lead_scores"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0, table
        assert await connection.fetchval("select count(*) from facts where url is not null") == 0
