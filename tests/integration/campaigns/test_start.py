"""The start of a campaign, and what it is refused for."""

from uuid import UUID

import httpx
import pytest
from common.ids import new_id, purpose_id
from common.testing.deliver import outbox_events

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.integration.campaigns.scene import ADDRESS, HTML, draft, problem, segment


async def test_start_when_complete_then_started_and_running_are_told_in_one_go(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    segment_id = str(await segment(campaigns_db.worker, workspace_id))
    made = await draft(client, audience={"segment_ids": [segment_id]}, tracking={"clicks": False})
    answer = await client.post(f"/v1/campaigns/{made['id']}/start", json={})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "running"
    [started] = await outbox_events(campaigns_db.worker, "campaign.started")
    [running] = await outbox_events(campaigns_db.worker, "campaign.state")
    assert (running.data.state, running.data.revision) == ("running", 1)
    assert started.workspace_id == workspace_id
    assert str(started.data.campaign_id) == made["id"]
    assert started.data.purpose_id == purpose_id(workspace_id, "newsletter")
    assert started.data.fields == ["first_name"]
    assert [str(one) for one in started.data.audience.segment_ids] == [segment_id]
    assert (started.data.tracking.opens, started.data.tracking.clicks) == (True, False)
    assert started.data.sender.email == "news@example.org"
    assert ADDRESS in str(started.data.content)


async def test_second_start_then_409_and_nothing_told(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    made = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    await client.post(f"/v1/campaigns/{made['id']}/start", json={})
    before = len(await outbox_events(campaigns_db.worker))
    problem(await client.post(f"/v1/campaigns/{made['id']}/start", json={}), 409, "already_started")
    problem(await client.post(f"/v1/campaigns/{made['id']}/schedule", json={"at": None}), 409, "already_started")
    problem(await client.patch(f"/v1/campaigns/{made['id']}", json={"name": "x"}), 409, "not_editable")
    problem(await client.delete(f"/v1/campaigns/{made['id']}"), 409, "not_editable")
    assert len(await outbox_events(campaigns_db.worker)) == before


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ({"sender_id": ...}, "sender_id"),
        ({"audience": {}}, "audience"),
        ({"content": ...}, "content"),
        ({"content": {"subject": "", "html": HTML}}, "content.subject"),
        ({"content": {"subject": "x"}}, "content.html"),
    ],
)
async def test_start_when_incomplete_then_422_says_what_is_missing(
    client: httpx.AsyncClient,
    campaigns_db: ServiceDatabase,
    workspace_id: UUID,
    lacking: dict[str, object],
    missing: str,
) -> None:
    segment_id = str(await segment(campaigns_db.worker, workspace_id))
    made = await draft(client, **{"audience": {"segment_ids": [segment_id]}, **lacking})
    for command, body in (("start", {}), ("schedule", {"at": "2027-01-01T00:00:00Z"})):
        found = problem(
            await client.post(f"/v1/campaigns/{made['id']}/{command}", json=body), 422, "campaign_incomplete"
        )
        assert found["params"]["missing"] == missing
        assert found["mend"]
    assert (await client.get(f"/v1/campaigns/{made['id']}")).json()["status"] == "draft"
    assert await outbox_events(campaigns_db.worker, "campaign.started") == []


async def test_start_without_postal_address_then_422(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    made = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    await client.patch(f"/v1/workspaces/{workspace_id}", json={"postal_address": None})
    found = problem(await client.post(f"/v1/campaigns/{made['id']}/start", json={}), 422, "campaign_incomplete")
    assert found["params"]["missing"] == "workspace.postal_address"


async def test_start_without_unsubscribe_link_then_422_names_the_variant(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    content = {
        "default": "en",
        "variants": [
            {"id": "en", "language": "en", "subject": "Hello", "html": HTML},
            {"id": "fa", "language": "fa", "subject": "سلام", "html": "<p>بدون پیوند</p>"},
        ],
    }
    audience = {"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]}
    made = await draft(client, audience=audience, content=content)
    found = problem(await client.post(f"/v1/campaigns/{made['id']}/start", json={}), 422, "invalid_content")
    assert (found["params"]["reason"], found["params"]["variant"]) == ("unsubscribe_missing", "fa")
    assert "unsubscribe_url" in found["mend"]


async def test_start_when_segment_was_deleted_then_404(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID, impatient: None
) -> None:
    from campaigns.db import projections

    segment_id = await segment(campaigns_db.worker, workspace_id)
    made = await draft(client, audience={"segment_ids": [str(segment_id)]})
    async with campaigns_db.worker.transaction() as tx:
        await projections.store_sources(tx, "segment", [(workspace_id, segment_id, "Tehran", True, 2)])
        await projections.alive(tx, "campaigns.main")
    found = problem(await client.post(f"/v1/campaigns/{made['id']}/start", json={}), 404, "audience_source_not_found")
    assert found["params"]["missing"] == [{"kind": "segment", "id": str(segment_id)}]


async def test_start_by_viewer_or_for_unknown_campaign_is_refused(
    client: httpx.AsyncClient, keys: TestKeys, workspace_id: UUID
) -> None:
    problem(await client.post(f"/v1/campaigns/{new_id()}/start", json={}), 404, "campaign_not_found")
    viewer = {"Authorization": f"Bearer {keys.token(workspace_id, role='viewer')}"}
    problem(await client.post(f"/v1/campaigns/{new_id()}/start", json={}, headers=viewer), 403, "forbidden")


async def test_start_with_stale_if_match_then_412(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    made = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    url = f"/v1/campaigns/{made['id']}"
    tag = (await client.get(url)).headers["etag"]
    assert (await client.patch(url, json={"name": "Later"}, headers={"If-Match": tag})).status_code == 200
    problem(await client.patch(url, json={"name": "Lost"}, headers={"If-Match": tag}), 412, "stale")
    problem(await client.post(f"{url}/start", json={}, headers={"If-Match": tag}), 412, "stale")
    after = (await client.get(url)).json()
    assert (after["name"], after["status"]) == ("Later", "draft")
