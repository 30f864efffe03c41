"""Clicks by machines: found out late, counted apart, told, and judged again when the rules change."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.consumers.subscriptions import ingest, scoring
from analytics.db import clicks
from analytics.domain.machines import Rules
from analytics.main import create_app
from analytics.settings import Settings
from analytics.use_cases.judging import judge_again
from analytics.use_cases.scoring import score_due_contacts
from common.contracts import campaigns, email
from common.contracts.envelope import Received
from common.outbox.writer import Outgoing
from common.testing import deliver, deliver_shuffled, outbox_events

NOW = datetime.now(UTC) - timedelta(hours=1)
HIDDEN = 65535


class Message:
    """One mail of a campaign to one person, and what may be told of it."""

    def __init__(self, workspace_id: UUID, campaign_id: UUID) -> None:
        self.workspace_id, self.campaign_id = workspace_id, campaign_id
        self.id, self.contact_id = uuid4(), uuid4()

    def tell(self, contract: Any, after_s: float, **more: Any) -> Outgoing:
        data = contract(
            message_id=self.id, kind="campaign", contact_id=self.contact_id, campaign_id=self.campaign_id, **more
        )
        return Outgoing(self.workspace_id, data, time=NOW + timedelta(seconds=after_s))

    def sent(self, after_s: float = 0, revision: int = 3) -> Outgoing:
        return self.tell(email.EmailSentV1, after_s, attempt=1, revision=revision, provider="gmail")

    def clicked(self, after_s: float, link: int = 0, rule: str | None = None) -> Outgoing:
        return self.tell(
            email.EmailClickedV1, after_s, link=link, url="" if link == HIDDEN else f"https://x.example/{link}",
            machine=rule is not None, machine_rule=rule,
        )  # fmt: skip


@pytest.fixture
def campaign_id() -> UUID:
    return uuid4()


@pytest.fixture
def messages(workspace_id: UUID, campaign_id: UUID) -> list[Message]:
    return [Message(workspace_id, campaign_id) for _ in range(4)]


@pytest.fixture
def started(workspace_id: UUID, campaign_id: UUID) -> Outgoing:
    data = campaigns.CampaignStartedV1(
        campaign_id=campaign_id, name="Nowruz", purpose_id=UUID(int=1), content={},
        sender=campaigns.Sender(name="B", email="b@x.example"), audience=campaigns.AudienceRule(),
    )  # fmt: skip
    return Outgoing(workspace_id, data, time=NOW)


@pytest.fixture
async def api(analytics_db: Any, service_env: Any, keys: Any, http_client: Any, workspace_id: UUID) -> Any:
    service_env("analytics", analytics_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        yield client


async def report(api: Any, campaign_id: UUID) -> dict[str, Any]:
    answer = await api.get(f"/v1/reports/campaigns/{campaign_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told(analytics_db: Any) -> dict[UUID, tuple[bool, str | None, int]]:
    """The last verdict on each click that was told."""
    found: list[Received[Any]] = await outbox_events(analytics_db.worker, "email.reclassified")
    last = sorted(found, key=lambda one: one.data.revision)
    return {one.data.event_id: (one.data.machine, one.data.machine_rule, one.data.revision) for one in last}


async def test_a_click_right_after_sending_is_a_machines(
    analytics_db: Any, api: Any, campaign_id: UUID, messages: list[Message], started: Outgoing
) -> None:
    one, two = messages[:2]
    fast, human = one.clicked(1.2), two.clicked(40)
    await deliver(analytics_db.worker, ingest(), [started, one.sent(), two.sent(), fast, human])
    found = await report(api, campaign_id)
    assert found["clicks"] == {"total": 1, "unique": 1, "machine": 1}
    assert found["machine_clicks"] == {"fast_click": 1}
    assert [(link["total"], link["unique"]) for link in found["links"]] == [(1, 1)]
    assert await told(analytics_db) == {fast.id: (True, "fast_click", 1)}


async def test_a_sending_told_after_its_click_judges_it_still(
    analytics_db: Any, api: Any, campaign_id: UUID, messages: list[Message], started: Outgoing
) -> None:
    fast = messages[0].clicked(0.4)
    await deliver(analytics_db.worker, ingest(), [started, fast])
    assert (await report(api, campaign_id))["clicks"] == {"total": 1, "unique": 1, "machine": 0}
    await deliver(analytics_db.worker, ingest(), [messages[0].sent()])
    assert (await report(api, campaign_id))["clicks"] == {"total": 0, "unique": 0, "machine": 1}
    assert (await report(api, campaign_id))["links"] in ([], [{**_link(0), "total": 0, "unique": 0}])


def _link(n: int) -> dict[str, Any]:
    return {"link": n, "url": f"https://x.example/{n}"}


def history(messages: list[Message]) -> list[Outgoing]:
    """A person's clicks, a scanner's, both on one message, and a visit of the hidden link."""
    one, two, three, four = messages
    return [
        one.sent(), one.clicked(30, 0), one.clicked(31, 1), one.clicked(300, 0),
        two.sent(), *(two.clicked(5 + n / 10, n) for n in range(4)), two.clicked(700, 1),
        three.sent(), three.clicked(20, 0), three.clicked(21, HIDDEN, "hidden_link"), three.clicked(400, 1),
        four.sent(10), four.clicked(10.1, 2), four.clicked(90, 2, "head"), four.clicked(95, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_events_in_any_order_doubled_give_the_same_report(
    seed: int, analytics_db: Any, api: Any, campaign_id: UUID, messages: list[Message], started: Outgoing
) -> None:
    events = history(messages)
    await deliver_shuffled(analytics_db.worker, ingest(), [started, *events], seed)
    await judge_again(analytics_db.worker)
    found = await report(api, campaign_id)
    # People: three on one, one on two, one on three (late), one on four (late).
    assert found["clicks"] == {"total": 6, "unique": 4, "machine": 4 + 2 + 2}
    assert found["machine_clicks"] == {"fast_click": 1, "head": 1, "hidden_link": 2, "many_links": 4}
    assert {link["link"]: (link["total"], link["unique"]) for link in found["links"] if link["total"]} == {
        0: (2, 1), 1: (3, 3), 2: (1, 1),
    }  # fmt: skip
    machines = {one.id for one in [*events[5:9], events[11], events[15]]}
    assert {event_id for event_id, (machine, *_) in (await told(analytics_db)).items() if machine} == machines
    async with analytics_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from clicks") == 14
        assert await connection.fetchval("select count(*) from clicks where not settled") == 0
        for column in ("total", "uniques"):
            assert await connection.fetchval(f"select min(s) from (select sum({column}) s from touch_counts group by "
                                             "campaign_id, variant_id, kind, link, machine) x") >= 0  # fmt: skip


async def test_other_rules_judge_everything_again_and_nothing_was_lost(
    analytics_db: Any, api: Any, campaign_id: UUID, messages: list[Message], started: Outgoing
) -> None:
    await deliver(analytics_db.worker, ingest(), [started, *history(messages)])
    before = await report(api, campaign_id)
    lenient = Rules(revision=2, fast_s=0, burst_links=99, hidden_s=-1)
    await judge_again(analytics_db.worker, lenient)
    found = await report(api, campaign_id)
    assert found["machine_clicks"] == {"head": 1, "hidden_link": 1}, "what the tracker saw stands"
    assert found["clicks"] == {"total": 12, "unique": 4, "machine": 2}
    assert {link["link"]: (link["total"], link["unique"]) for link in found["links"]} == {
        0: (4, 3), 1: (4, 3), 2: (3, 2), 3: (1, 1),
    }  # fmt: skip
    assert {(machine, revision) for machine, _, revision in (await told(analytics_db)).values()} == {(False, 2)}
    await judge_again(analytics_db.worker, lenient)
    assert len(await outbox_events(analytics_db.worker, "email.reclassified")) == 2 * 6
    await judge_again(analytics_db.worker, Rules(revision=3))
    after = await report(api, campaign_id)
    assert (after["clicks"], after["machine_clicks"]) == (before["clicks"], before["machine_clicks"])


async def test_a_machines_click_does_not_score_even_when_it_was_found_out_late(
    analytics_db: Any, messages: list[Message]
) -> None:
    fast, sent = messages[0].clicked(0.4), messages[0].sent()

    async def score() -> list[float]:
        async with analytics_db.worker.transaction() as tx:
            await tx.execute("update score_due set due_at = due_at - interval '9 seconds'")
            await score_due_contacts(tx, datetime.now(UTC))
        return [one.data.score for one in await outbox_events(analytics_db.worker, "lead.scored")]

    await deliver(analytics_db.worker, scoring(0), [fast])
    await deliver(analytics_db.worker, ingest(), [fast])
    assert await score() == [pytest.approx(10, abs=0.1)]
    await deliver(analytics_db.worker, ingest(), [sent])
    [verdict] = await outbox_events(analytics_db.worker, "email.reclassified")
    await deliver(
        analytics_db.worker,
        scoring(0),
        [Outgoing(verdict.workspace_id, verdict.data, id=verdict.id, time=verdict.time)],
    )
    assert await score() == [pytest.approx(10, abs=0.1), 0.0]


async def test_a_machines_click_that_has_not_settled_never_scored(analytics_db: Any, messages: list[Message]) -> None:
    events = [messages[0].sent(), messages[0].clicked(0.4)]
    await deliver(analytics_db.worker, scoring(3), events)
    await deliver(analytics_db.worker, ingest(), events)
    async with analytics_db.worker.transaction() as tx:
        await tx.execute("update score_due set due_at = due_at - interval '9 seconds'")
        await tx.execute("update score_events set counts_at = counts_at - interval '9 seconds'")
        await score_due_contacts(tx, datetime.now(UTC))
    assert [one.data.score for one in await outbox_events(analytics_db.worker, "lead.scored")] in ([], [0.0])


async def test_clicks_of_single_mail_are_judged_and_not_counted(
    analytics_db: Any, api: Any, campaign_id: UUID, messages: list[Message], started: Outgoing
) -> None:
    one = messages[0]
    single = email.EmailClickedV1(
        message_id=one.id, kind="single", contact_id=one.contact_id, sent_at=NOW, link=0, url="https://x.example/"
    )
    click = Outgoing(one.workspace_id, single, time=NOW + timedelta(seconds=1))
    await deliver(analytics_db.worker, ingest(), [started, click])
    assert await told(analytics_db) == {click.id: (True, "fast_click", 1)}
    assert (await report(api, campaign_id))["clicks"] == {"total": 0, "unique": 0, "machine": 0}


async def test_judging_a_few_clicks_does_not_read_the_whole_workspace(
    analytics_db: Any, workspace_id: UUID, campaign_id: UUID
) -> None:
    async with analytics_db.worker.connection() as connection:
        # As it is before anybody has analysed the tables: the planner knows nothing of how much is in them.
        await connection.execute(
            """
            insert into message_status
              (workspace_id, message_id, campaign_id, variant_id, revision, status, failure, at)
            select $1, gen_random_uuid(), $2, 'fa', 2, 'sent', '', now() from generate_series(1, 20000)
            """,
            workspace_id,
            campaign_id,
        )
        await connection.execute(
            """
            insert into clicks (workspace_id, message_id, event_id, at, link, kind, campaign_id, variant_id, rules)
            select workspace_id, message_id, gen_random_uuid(), now(), 0, 'campaign', campaign_id, 'fa', 1
            from message_status limit 5000
            """
        )
        few = await connection.fetch("select workspace_id, message_id from clicks limit 20")
        columns = [row["workspace_id"] for row in few], [row["message_id"] for row in few]
        for query in (clicks.OF, clicks.CLICKED):
            plan = await connection.fetchval(f"explain (analyze, buffers, format json) {query}", *columns)
            read = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
            assert read < 20 * len(few), query
