"""Drafts: what they may lack, what they may not be, and how they change."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from campaigns.db import projections
from common.ids import new_id
from common.testing.deliver import outbox_events

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.fixtures.http import HttpClient
from tests.integration.campaigns.scene import HTML, a_list, draft, problem, segment, workspace


async def count(client: httpx.AsyncClient) -> int:
    return len((await client.get("/v1/campaigns")).json()["items"])


async def test_draft_with_a_name_alone_is_stored_and_tells_nobody(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase
) -> None:
    before = len(await outbox_events(campaigns_db.worker))
    answer = await client.post("/v1/campaigns", json={"name": "Idea"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["status"], made["content"], made["sender_id"], made["purpose"]) == ("draft", None, None, "newsletter")
    assert made["balance"] is None
    assert len(await outbox_events(campaigns_db.worker)) == before


@pytest.mark.parametrize(
    ("content", "reason", "part", "line"),
    [
        ({"subject": "x", "html": "<p>\n{{ first_name | shout }}</p>"}, "liquid_filter", "html", 2),
        ({"subject": "x", "html": "<p>{% if first_name %}</p>"}, "liquid_syntax", "html", None),
        ({"subject": "{{ first_name", "html": HTML}, "liquid_syntax", "subject", 1),
        ({"subject": "x", "html": "<p>{{ password }}</p>"}, "unknown_name", "html", 1),
        ({"subject": "x", "mjml": "<mjml><mj-body><mj-nothing></mj-body></mjml>"}, "mjml_invalid", "mjml", None),
        (
            {"subject": "x", "html": "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}"},
            None,
            "html",
            None,
        ),
    ],
)
async def test_draft_with_broken_content_then_422_says_where_and_nothing_is_stored(
    client: httpx.AsyncClient, content: dict[str, Any], reason: str | None, part: str, line: int | None
) -> None:
    found = problem(await client.post("/v1/campaigns", json={"name": "x", "content": content}), 422, "invalid_content")
    assert found["params"]["part"] == part
    if reason:
        assert found["params"]["reason"] == reason
    if line:
        assert found["params"]["line"] == line
    assert found["params"]["variant"] == "en"
    assert await count(client) == 0


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"name": "x", "content": {"subject": "Hi\r\nBcc: a@example.org", "html": HTML}}, "subject"),
        ({"name": "a\nb"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "sender": "y"}, "sender"),
        ({"name": "x", "content": {"html": "a", "mjml": "b"}}, "content"),
        ({"name": "x", "content": {"default": "de", "variants": [{"id": "en", "subject": "a"}]}}, "content"),
        ({"name": "x", "uncertain_policy": "maybe"}, "uncertain_policy"),
        ({"name": "x", "send_until": "2026-01-01T00:00:00"}, "send_until"),
    ],
)
async def test_draft_with_unacceptable_fields_then_422_points_at_them(
    client: httpx.AsyncClient, body: dict[str, Any], where: str
) -> None:
    found = problem(await client.post("/v1/campaigns", json=body), 422, "invalid")
    assert any(where in error["where"] for error in found["errors"]), found["errors"]
    assert await count(client) == 0


async def test_draft_naming_foreign_ids_then_404(
    client: httpx.AsyncClient,
    campaigns_db: ServiceDatabase,
    keys: TestKeys,
    impatient: None,
    http_client: HttpClient,
    workspace_id: UUID,
) -> None:
    other = new_id()
    made = await workspace(campaigns_db.worker, keys, other)
    theirs = {"Authorization": f"Bearer {made.token}"}
    sender = await client.post("/v1/senders", json={"name": "x", "email": "a@example.org"}, headers=theirs)
    campaign = await client.post("/v1/campaigns", json={"name": "theirs"}, headers=theirs)
    foreign = str(await segment(campaigns_db.worker, other))
    own = await draft(client)
    for body, code in (
        ({"sender_id": sender.json()["id"]}, "sender_not_found"),
        ({"sender_id": str(new_id())}, "sender_not_found"),
        ({"purpose": "offers"}, "purpose_not_found"),
        ({"audience": {"segment_ids": [foreign]}}, "audience_source_not_found"),
        ({"audience": {"exclude_segment_ids": [foreign]}}, "audience_source_not_found"),
        (
            {"audience": {"list_ids": [str(await segment(campaigns_db.worker, workspace_id))]}},
            "audience_source_not_found",
        ),
    ):
        problem(await client.post("/v1/campaigns", json={"name": "x", **body}), 404, code)
        problem(await client.patch(f"/v1/campaigns/{own['id']}", json=body), 404, code)
    url = f"/v1/campaigns/{campaign.json()['id']}"
    for method, path, body in (
        ("GET", url, None),
        ("PATCH", url, {"name": "mine"}),
        ("DELETE", url, None),
        ("GET", f"{url}/balance", None),
        *(("POST", f"{url}/{verb}", {}) for verb in ("start", "pause", "resume", "cancel", "preview")),
        ("POST", f"{url}/schedule", {"at": None}),
        ("POST", f"{url}/test", {"to": ["a@example.org"]}),
    ):
        problem(await client.request(method, path, json=body), 404, "campaign_not_found")
    assert [row["id"] for row in (await client.get("/v1/campaigns")).json()["items"]] == [own["id"]]
    assert (await client.get(url, headers=theirs)).json()["name"] == "theirs"


async def test_miss_while_the_consumer_is_behind_or_dead_then_503_with_retry_after(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, impatient: None
) -> None:
    body = {"name": "x", "audience": {"segment_ids": [str(new_id())]}}
    async with campaigns_db.worker.transaction() as tx:
        await projections.alive(tx, "campaigns.main")
    problem(await client.post("/v1/campaigns", json=body), 404, "audience_source_not_found")
    async with campaigns_db.worker.transaction() as tx:
        await tx.execute("update projection_progress set event_at = now() - interval '9 s', handled_at = now()")
    answer = await client.post("/v1/campaigns", json=body)
    problem(answer, 503, "projection_behind")
    assert answer.headers["retry-after"] == "9"
    async with campaigns_db.worker.transaction() as tx:
        await tx.execute("update projection_progress set event_at = now(), alive_at = now() - interval '1 min'")
    problem(await client.post("/v1/campaigns", json=body), 503, "projection_behind")


async def test_segment_that_is_told_while_the_request_waits_is_found(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    import asyncio

    segment_id = new_id()

    async def tell() -> None:
        await asyncio.sleep(0.5)
        async with campaigns_db.worker.transaction() as tx:
            await projections.store_sources(tx, "segment", [(workspace_id, segment_id, "late", False, 1)])

    telling = asyncio.create_task(tell())
    answer = await client.post("/v1/campaigns", json={"name": "x", "audience": {"segment_ids": [str(segment_id)]}})
    await telling
    assert answer.status_code == 201


async def test_patch_merges_and_omitted_is_not_empty(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    segments = [str(await segment(campaigns_db.worker, workspace_id))]
    lists = [str(await a_list(campaigns_db.worker, workspace_id))]
    made = await draft(client, audience={"segment_ids": segments}, send_until="2030-01-01T00:00:00Z")
    url = f"/v1/campaigns/{made['id']}"
    answer = await client.patch(
        url, json={"audience": {"list_ids": lists}, "content": {"preheader": "Soon"}, "send_until": None}
    )
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["audience"]["segment_ids"], after["audience"]["list_ids"]) == (segments, lists)
    assert (after["content"]["preheader"], after["content"]["html"]) == ("Soon", HTML)
    assert after["send_until"] is None
    assert after["sender_id"] == made["sender_id"]
    assert after["revision"] == made["revision"] + 1

    variants = {"default": "fa", "variants": [{"language": "fa", "subject": "سلام", "html": HTML}]}
    after = (await client.patch(url, json={"content": variants})).json()
    assert [one["id"] for one in after["content"]["variants"]] == ["fa"]
    after = (await client.patch(url, json={"content": {"subject": "Back", "html": HTML}})).json()
    assert "variants" not in after["content"]
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>"
    after = (await client.patch(url, json={"content": {"mjml": mjml}})).json()
    assert (after["content"]["html"], after["content"]["subject"]) == (None, "Back")


async def test_patch_that_leaves_something_unacceptable_then_422_and_nothing_changes(client: httpx.AsyncClient) -> None:
    made = await draft(client)
    url = f"/v1/campaigns/{made['id']}"
    for body, code in (
        ({"name": None}, "invalid_draft"),
        ({"content": {"html": "{{"}}, "invalid_content"),
        ({"content": {"colour": "red"}}, "invalid_draft"),
        ({"content": {"subject": "a\r\nb"}}, "invalid_draft"),
        ({"status": "completed"}, "invalid"),
    ):
        problem(await client.patch(url, json=body), 422, code)
    assert (await client.get(url)).json() == made


async def test_delete_then_gone(client: httpx.AsyncClient) -> None:
    made = await draft(client)
    assert (await client.delete(f"/v1/campaigns/{made['id']}")).status_code == 204
    problem(await client.get(f"/v1/campaigns/{made['id']}"), 404, "campaign_not_found")


async def test_list_pages_filters_and_sorts(client: httpx.AsyncClient) -> None:
    for n in range(5):
        await client.post("/v1/campaigns", json={"name": f"c{n}"})
    first = (await client.get("/v1/campaigns", params={"limit": 3, "sort": "name"})).json()
    cursor = first["next_cursor"]
    second = (await client.get("/v1/campaigns", params={"limit": 3, "sort": "name", "cursor": cursor})).json()
    assert [row["name"] for row in first["items"] + second["items"]] == [f"c{n}" for n in range(5)]
    assert second["next_cursor"] is None
    found = await client.get("/v1/campaigns", params={"filter": ["status:eq:draft", "name:contains:c3"]})
    assert [row["name"] for row in found.json()["items"]] == ["c3"]
    assert (await client.get("/v1/campaigns", params={"filter": "status:eq:running"})).json()["items"] == []
    problem(await client.get("/v1/campaigns", params={"filter": "content:eq:x"}), 400, "bad_filter")
