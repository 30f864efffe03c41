"""What analytics refuses: what is wrong, where, how to mend it; and that nothing changed."""

from uuid import uuid4

import pytest
from analytics.consumers.subscriptions import consumers
from analytics.main import create_app
from analytics.settings import Settings
from common.contracts import email
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing import deliver

from tests.fixtures.refusals import refused, refused_tokens

RULE = {"key": "clicked", "type": "email.clicked", "points": 10, "half_life_days": 30, "cap": 50}


@pytest.fixture
async def client(analytics_db, service_env, keys, http_client, workspace_id):
    service_env("analytics", analytics_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as connected:
        yield connected


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"rules": [{**RULE, "type": "email.eaten"}], "grades": []}, "/rules/0/type"),
        ({"rules": [{**RULE, "weight": 2}], "grades": []}, "/rules/0/weight"),
        ({"rules": [RULE, {**RULE, "key": "b", "half_life_days": 0}], "grades": []}, "/rules/1/half_life_days"),
        ({"rules": [RULE, RULE], "grades": []}, ""),
        ({"rules": [], "grades": []}, "/rules"),
        ({"rules": [RULE], "grades": [{"grade": "Z", "from_score": 1}]}, "/grades/0/grade"),
        ({"rules": [{**RULE, "cap": 10**400}], "grades": []}, "/rules/0/cap"),
    ],
)
async def test_a_rule_that_makes_no_sense(client, analytics_db, body, where):
    problem = await refused(client, analytics_db, (422, "invalid"), "PUT", "/v1/scoring", json=body)
    assert problem["errors"][0]["where"] == where


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none(client, analytics_db, number):
    rule = '{"key":"a","type":"email.clicked","points":N,"half_life_days":1,"cap":1}'.replace("N", number)
    raw = f'{{"rules":[{rule}],"grades":[]}}'
    await refused(
        client, analytics_db, (422, "invalid"), "PUT", "/v1/scoring", content=raw,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip


async def test_tokens_that_are_not_good(client, analytics_db, keys, workspace_id):
    requests = [("GET", "/v1/leads", None), ("PUT", "/v1/scoring", {"rules": [RULE], "grades": []})]
    await refused_tokens(client, analytics_db, keys, workspace_id, requests)


async def test_ids_of_another_workspace(client, analytics_db):
    person, campaign = uuid4(), uuid4()
    clicked = email.EmailClickedV1(
        message_id=uuid4(), kind="campaign", contact_id=person, campaign_id=campaign, link=0, url="https://x.example/",
        machine=False,
    )  # fmt: skip
    for consumer in consumers():
        if any(one.contract is email.EmailClickedV1 for one in consumer.subscriptions):
            await deliver(analytics_db.worker, consumer, [Outgoing(new_id(), clicked)])
    for code, path in (
        ("lead_not_found", f"/v1/leads/{person}/score"),
        ("campaign_not_found", f"/v1/reports/campaigns/{campaign}"),
    ):
        await refused(client, analytics_db, (404, code), "GET", path)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1000000000", "cursor=x", "cursor=WzFd"])
async def test_parameters_that_mean_nothing(client, analytics_db, query):
    code = "bad_cursor" if query.startswith("cursor") else "bad_request"
    await refused(client, analytics_db, (400, code), "GET", f"/v1/leads?{query}")
