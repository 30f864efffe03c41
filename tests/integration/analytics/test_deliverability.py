"""How mail fares at each provider, from events in any order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.consumers.subscriptions import ingest
from analytics.main import create_app
from analytics.settings import Settings
from common.contracts import email
from common.outbox.writer import Outgoing
from common.testing import deliver, deliver_shuffled

NOW = datetime.now(UTC).replace(microsecond=0)


class Mail:
    """One message, and what may be told of it."""

    def __init__(self, workspace_id: UUID, provider: str, campaign_id: UUID, hours_ago: float = 1) -> None:
        self.workspace_id, self.provider, self.at = workspace_id, provider, NOW - timedelta(hours=hours_ago)
        self.about = {
            "message_id": uuid4(), "kind": "campaign", "contact_id": uuid4(), "campaign_id": campaign_id,
        }  # fmt: skip

    def tell(self, contract: Any, after_s: float = 0, **more: Any) -> Outgoing:
        if contract not in {email.EmailOpenedV1, email.EmailUnsubscribedV1}:
            more["provider"] = self.provider
        return Outgoing(self.workspace_id, contract(**self.about, **more), time=self.at + timedelta(seconds=after_s))

    def sent(self, revision: int = 9) -> Outgoing:
        return self.tell(email.EmailSentV1, attempt=1, revision=revision)

    def put_off(self, revision: int) -> Outgoing:
        return self.tell(email.EmailDeferredV1, -60.0 + revision, attempt=revision, revision=revision, next_at=NOW)

    def failed(self, failure: str) -> Outgoing:
        return self.tell(email.EmailFailedV1, attempt=1, revision=9, failure=failure)

    def bounced(self, reason: str, bounce: str = "hard") -> Outgoing:
        return self.tell(email.EmailBouncedV1, 600, bounce=bounce, reason=reason)

    def complained(self) -> Outgoing:
        return self.tell(email.EmailComplainedV1, 900, reason="abuse")

    def opened(self, machine: bool = False) -> Outgoing:
        return self.tell(email.EmailOpenedV1, 300, machine=machine)


@pytest.fixture
async def api(analytics_db: Any, service_env: Any, keys: Any, http_client: Any, workspace_id: UUID) -> Any:
    service_env("analytics", analytics_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        yield client


async def report(api: Any, **params: str) -> dict[str, dict[str, Any]]:
    answer = await api.get("/v1/reports/deliverability", params=params)
    assert answer.status_code == 200, answer.text
    return {one["provider"]: one for one in answer.json()["providers"]}


@pytest.mark.parametrize("seed", range(4))
async def test_each_provider_has_its_figures_whatever_the_order(
    seed: int, analytics_db: Any, api: Any, workspace_id: UUID
) -> None:
    campaign = uuid4()
    gmail = [Mail(workspace_id, "gmail", campaign) for _ in range(5)]
    yahoo = [Mail(workspace_id, "yahoo", campaign) for _ in range(2)]
    events = [
        *(mail.sent() for mail in gmail[:4]), gmail[4].failed("bad_mailbox"),
        gmail[0].put_off(2), gmail[0].put_off(3), gmail[1].put_off(2),
        gmail[0].opened(), gmail[0].opened(), gmail[1].opened(machine=True), gmail[2].opened(),
        gmail[3].bounced("mailbox_full", "soft"), gmail[2].complained(), gmail[2].complained(),
        yahoo[0].sent(), yahoo[1].failed("policy"),
    ]  # fmt: skip
    await deliver_shuffled(analytics_db.worker, ingest(), events, seed)
    found = await report(api)
    assert list(found) == ["gmail", "yahoo"], "the largest first"
    shown = {name: found["gmail"][name] for name in (
        "sent", "delivered", "failed", "bounced", "complained", "opened", "deferred", "deferrals",
        "bounce_rate", "complaint_rate", "deferral_rate", "open_rate")}  # fmt: skip
    assert shown == {
        "sent": 4, "delivered": 3, "failed": 1, "bounced": {"bad_mailbox": 1, "mailbox_full": 1}, "complained": 1,
        "opened": 2, "deferred": 2, "deferrals": 3,
        "bounce_rate": 0.4, "complaint_rate": 0.2, "deferral_rate": 0.4, "open_rate": 0.666667,
    }  # fmt: skip
    assert (found["yahoo"]["sent"], found["yahoo"]["bounced"]) == (1, {"policy": 1})
    assert [one["code"] for one in found["gmail"]["recommendations"]] == ["too_few"]


async def test_a_time_is_reported_on_and_no_other(analytics_db: Any, api: Any, workspace_id: UUID) -> None:
    mails = [Mail(workspace_id, "gmail", uuid4(), hours) for hours in (1, 24 * 10, 24 * 40)]
    await deliver(analytics_db.worker, ingest(), [mail.sent() for mail in mails])
    assert (await report(api))["gmail"]["sent"] == 2
    ago = {days: (NOW - timedelta(days=days)).isoformat() for days in (5, 30, 60)}
    assert (await report(api, **{"from": ago[5]}))["gmail"]["sent"] == 1
    assert (await report(api, **{"from": ago[60], "to": ago[30]}))["gmail"]["sent"] == 1
    exact = mails[1].at
    assert await report(api, **{"from": (exact - timedelta(hours=1)).isoformat(), "to": exact.isoformat()}) == {}
    assert list(await report(api, **{"from": exact.isoformat(), "to": ago[5]})) == ["gmail"]


async def test_another_workspaces_mail_and_single_mail_are_not_in_it(
    analytics_db: Any, api: Any, workspace_id: UUID
) -> None:
    single = Mail(workspace_id, "gmail", uuid4())
    single.about["kind"] = "single"
    await deliver(analytics_db.worker, ingest(), [Mail(uuid4(), "gmail", uuid4()).sent(), single.sent()])
    assert await report(api) == {}


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"from": "2026-05-02T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, 422),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, 422),
        ({"from": "2026-05-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, 422),
        ({"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, 422),
        ({"to": "0001-01-01T00:00:00Z"}, 422),
        ({"from": "yesterday"}, 400),
        ({"from": "2026-05-01T00:00:00"}, 400),
    ],
    ids=["backwards", "too long", "nothing", "all of time", "before time", "words", "no zone"],
)
async def test_a_time_that_makes_no_sense_is_refused(api: Any, params: dict[str, str], status: int) -> None:
    answer = await api.get("/v1/reports/deliverability", params=params)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == ("bad_period" if status == 422 else "bad_request")


async def test_advice_comes_with_the_figures(analytics_db: Any, api: Any, workspace_id: UUID) -> None:
    campaign = uuid4()
    mails = [Mail(workspace_id, "microsoft", campaign) for _ in range(300)]
    events = [mail.sent() for mail in mails[:280]] + [mail.failed("policy") for mail in mails[280:]]
    await deliver(analytics_db.worker, ingest(), [*events, mails[0].complained()])
    [refused, complaints] = (await report(api))["microsoft"]["recommendations"]
    assert (refused["code"], refused["severity"]) == ("refused_by_policy", "act")
    assert "20 messages" in refused["what"]
    assert "/v1/domains" in refused["next_step"]
    assert refused["params"] == {"share": 0.066667}
    assert (complaints["code"], complaints["severity"]) == ("complaints", "act")
