"""What campaigns refuses: what is wrong, where, how to mend it; and that nothing changed."""

import time
from typing import Any

import pytest
from common.ids import new_id

from tests.fixtures.refusals import refused, refused_tokens
from tests.integration.campaigns.scene import HTML, a_list, draft, segment, workspace

LOOPS = {
    "nested": "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}",
    "long": "{% for a in (1..99999999999) %}x{% endfor %}",
    "itself": "{% capture a %}{{ a }}{% endcapture %}{% include 'a' %}",
}


async def ready(client, db, workspace_id, **more: Any) -> dict[str, Any]:
    return await draft(client, **{"audience": {"segment_ids": [str(await segment(db.worker, workspace_id))]}, **more})


@pytest.mark.parametrize(
    ("html", "line"),
    [
        ("<p>\n{% if first_name %}</p>", None),
        ("<p>\n{{ first_name | shout }}</p>", 2),
        ("<p>{{ first_name </p>", 1),
        ("<p>{% endfor %}</p>", 1),
        ("<p>\n\n{{ attributes.['}}</p>", 3),
        *((loop, None) for loop in LOOPS.values()),
    ],
    ids=["if without end", "unknown filter", "open braces", "end without for", "rubbish", *LOOPS],
)
async def test_a_template_with_a_syntax_error_or_an_endless_loop(client, campaigns_db, html, line):
    kept = await draft(client)
    content = {"subject": "x", "html": html + '<a href="{{ unsubscribe_url }}">x</a>'}
    for method, path, body in (
        ("POST", "/v1/campaigns", {"name": "x", "content": content}),
        ("PATCH", f"/v1/campaigns/{kept['id']}", {"content": content}),
    ):
        begin = time.monotonic()
        problem = await refused(client, campaigns_db, (422, "invalid_content"), method, path, json=body)
        assert time.monotonic() - begin < 10
        assert problem["params"]["part"] == "html"
        if line:
            assert problem["params"]["line"] == line


@pytest.mark.parametrize(
    ("lacking", "expected", "where"),
    [
        ({"sender_id": ...}, (422, "campaign_incomplete"), {"missing": "sender_id"}),
        ({"audience": {}}, (422, "campaign_incomplete"), {"missing": "audience"}),
        ({"content": ...}, (422, "campaign_incomplete"), {"missing": "content"}),
        ({"content": {"subject": "x", "html": "<p>no way out</p>"}}, (422, "invalid_content"),
         {"reason": "unsubscribe_missing"}),
        ({"send_until": "2020-01-01T00:00:00Z"}, (422, "invalid_schedule"), {}),
    ],
)  # fmt: skip
async def test_a_start_without_what_it_needs(client, campaigns_db, workspace_id, lacking, expected, where):
    made = await ready(client, campaigns_db, workspace_id, **lacking)
    for command, body in (("start", {}), ("schedule", {"at": "2027-01-01T00:00:00Z"})):
        path = f"/v1/campaigns/{made['id']}/{command}"
        problem = await refused(client, campaigns_db, expected, "POST", path, json=body)
        assert where.items() <= problem["params"].items()


async def test_a_start_without_a_postal_address(client, campaigns_db, workspace_id):
    made = await ready(client, campaigns_db, workspace_id)
    await client.patch(f"/v1/workspaces/{workspace_id}", json={"postal_address": None})
    path = f"/v1/campaigns/{made['id']}/start"
    problem = await refused(client, campaigns_db, (422, "campaign_incomplete"), "POST", path, json={})
    assert problem["params"]["missing"] == "workspace.postal_address"


async def test_a_second_start_and_what_comes_too_late(client, campaigns_db, workspace_id):
    made = await ready(client, campaigns_db, workspace_id)
    path = f"/v1/campaigns/{made['id']}"
    idle = await ready(client, campaigns_db, workspace_id)
    assert (await client.post(f"{path}/start", json={})).status_code == 200
    for code, method, where, body in (
        ("already_started", "POST", f"{path}/start", {}),
        ("already_started", "POST", f"{path}/schedule", {"at": "2027-01-01T00:00:00Z"}),
        ("not_editable", "PATCH", path, {"name": "x"}),
        ("not_editable", "DELETE", path, None),
        ("not_running", "POST", f"/v1/campaigns/{idle['id']}/pause", {}),
        ("not_running", "POST", f"/v1/campaigns/{idle['id']}/resume", {}),
    ):
        await refused(client, campaigns_db, (409, code), method, where, json=body)


async def test_a_stale_if_match(client, campaigns_db, workspace_id):
    made = await ready(client, campaigns_db, workspace_id)
    campaign, sender = f"/v1/campaigns/{made['id']}", f"/v1/senders/{made['sender_id']}"
    here = f"/v1/workspaces/{workspace_id}"
    for path in (campaign, sender, here):
        stale = {"If-Match": (await client.get(path)).headers["etag"]}
        assert (await client.patch(path, json={"name": "X"}, headers=stale)).status_code == 200
        problem = await refused(client, campaigns_db, (412, "stale"), "PATCH", path, json={"name": "Y"}, headers=stale)
        assert problem["params"]["revision"]
        if path == campaign:
            await refused(client, campaigns_db, (412, "stale"), "DELETE", path, headers=stale)
            await refused(client, campaigns_db, (412, "stale"), "POST", f"{path}/start", json={}, headers=stale)


async def test_tokens_that_are_not_good(client, campaigns_db, keys, workspace_id):
    requests = [
        ("GET", "/v1/campaigns", None),
        ("POST", "/v1/campaigns", {"name": "x"}),
        ("POST", f"/v1/campaigns/{new_id()}/start", {}),
    ]
    await refused_tokens(client, campaigns_db, keys, workspace_id, requests)


async def test_ids_of_another_workspace(client, campaigns_db, keys, workspace_id, impatient):
    other = new_id()
    theirs = {"Authorization": f"Bearer {(await workspace(campaigns_db.worker, keys, other)).token}"}
    made = await client.post("/v1/senders", json={"name": "x", "email": "a@example.org"}, headers=theirs)
    sender = made.json()["id"]
    campaign = (await client.post("/v1/campaigns", json={"name": "theirs"}, headers=theirs)).json()["id"]
    foreign_segment = str(await segment(campaigns_db.worker, other))
    foreign_list = str(await a_list(campaigns_db.worker, other))
    own = (await draft(client))["id"]
    for code, method, path, body in (
        ("campaign_not_found", "GET", f"/v1/campaigns/{campaign}", None),
        ("campaign_not_found", "PATCH", f"/v1/campaigns/{campaign}", {"name": "mine"}),
        ("campaign_not_found", "POST", f"/v1/campaigns/{campaign}/start", {}),
        ("campaign_not_found", "GET", f"/v1/campaigns/{campaign}/balance", None),
        ("sender_not_found", "PATCH", f"/v1/campaigns/{own}", {"sender_id": sender}),
        ("sender_not_found", "DELETE", f"/v1/senders/{sender}", None),
        ("audience_source_not_found", "PATCH", f"/v1/campaigns/{own}", {"audience": {"list_ids": [foreign_list]}}),
        ("audience_source_not_found", "PATCH", f"/v1/campaigns/{own}",
         {"audience": {"exclude_segment_ids": [foreign_segment]}}),
        ("contact_not_found", "POST", f"/v1/campaigns/{own}/preview", {"contact_id": str(new_id())}),
        ("workspace_not_found", "GET", f"/v1/workspaces/{other}", None),
        ("member_not_found", "POST", "/v1/tokens", {"name": "x", "member_id": str(new_id())}),
    ):  # fmt: skip
        await refused(client, campaigns_db, (404, code), method, path, json=body)


async def test_fields_that_no_campaign_has(client, campaigns_db):
    for body, where in (
        ({"name": "x", "send_until": "0001-01-01T00:00:00+14:00"}, "/send_until"),
        ({"name": "a\r\nBcc: b@example.org"}, "/name"),
        ({"name": "x", "content": {"subject": "a\r\nBcc: b@example.org", "html": HTML}}, "/content"),
        ({"name": "x", "uncertain_policy": "perhaps"}, "/uncertain_policy"),
    ):
        problem = await refused(client, campaigns_db, (422, "invalid"), "POST", "/v1/campaigns", json=body)
        assert any(one["where"].startswith(where) for one in problem["errors"]), problem["errors"]
    problem = await refused(
        client, campaigns_db, (422, "invalid"), "POST", "/v1/tokens", json={"name": "x", "scopes": ["contacts:eat"]}
    )
    assert problem["errors"][0]["where"] == "/scopes/0"
