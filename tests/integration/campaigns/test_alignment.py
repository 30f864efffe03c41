"""Senders whose domain is not verified: warned about, or refused where a policy says so."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from campaigns.use_cases import alignment, projections
from campaigns.use_cases.alignment import Installation
from campaigns.use_cases.due import start_due
from common.contracts.delivery import DomainChangedV1
from common.errors import Misconfigured
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from common.testing.shuffle import deliver_shuffled

from tests.integration.campaigns.scene import MAIN, application, draft, problem, segment, workspace

LEAVE = '<p>Hello</p><a href="{{ unsubscribe_url }}">leave</a>'


def changed(workspace_id, name="example.org", domain_id=None, **more):
    state = {"verified": True, "revision": 1, **more}
    return Outgoing(workspace_id, DomainChangedV1(domain_id=domain_id or new_id(), domain=name, **state))


async def ready(client, campaigns_db, workspace_id, **more):
    return await draft(
        client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]}, **more
    )


async def start(client, made):
    return await client.post(f"/v1/campaigns/{made['id']}/start", json={})


async def codes(client, campaigns_db, workspace_id):
    answer = await start(client, await ready(client, campaigns_db, workspace_id))
    assert answer.status_code == 200, answer.text
    stored = (await client.get(f"/v1/campaigns/{answer.json()['id']}")).json()
    assert stored["warnings"] == answer.json()["warnings"]
    return {one["code"]: one["params"] for one in answer.json()["warnings"]}


async def test_by_default_a_campaign_from_an_unverified_domain_starts_with_a_warning(
    client, campaigns_db, workspace_id
):
    assert await codes(client, campaigns_db, workspace_id) == {"sender_unaligned": {"domain": "example.org"}}
    assert len(await outbox_events(campaigns_db.worker, "campaign.started")) == 1


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([("example.org", {})], None),
        ([("example.org", {"verified": False})], "sender_unaligned"),
        ([("example.org", {"failing": ["spf", "mx"]})], "sender_domain_failing"),
        ([("example.org", {"deleted": True})], "sender_unaligned"),
        ([("example.com", {})], "sender_unaligned"),
        ([("ample.org", {"subdomains": True})], "sender_unaligned"),
        ([("news.example.org", {"subdomains": True})], "sender_unaligned"),
    ],
    ids=["verified", "not verified", "failing", "deleted", "another", "another's end", "below"],
)
async def test_the_senders_own_domain_counts(client, campaigns_db, workspace_id, told, code):
    await deliver(campaigns_db.worker, MAIN, [changed(workspace_id, name, **more) for name, more in told])
    found = await codes(client, campaigns_db, workspace_id)
    assert list(found) == ([code] if code else [])
    if code == "sender_domain_failing":
        assert found[code] == {"domain": "example.org", "failing": ["spf", "mx"]}


@pytest.mark.parametrize(("subdomains", "aligned"), [(True, True), (False, False)])
async def test_a_domain_above_the_senders_counts_where_alignment_is_relaxed(
    client, campaigns_db, workspace_id, subdomains, aligned
):
    sender = await client.post("/v1/senders", json={"name": "B", "email": "a@News.Ünal.example.org"})
    await deliver(campaigns_db.worker, MAIN, [changed(workspace_id, subdomains=subdomains)])
    made = await ready(client, campaigns_db, workspace_id, sender_id=sender.json()["id"])
    found = (await start(client, made)).json()["warnings"]
    assert [one["code"] for one in found] == ([] if aligned else ["sender_unaligned"])
    assert aligned or found[0]["params"] == {"domain": "news.xn--nal-goa.example.org"}


async def test_another_workspaces_domain_does_not_count(client, campaigns_db, workspace_id):
    await deliver(campaigns_db.worker, MAIN, [changed(new_id())])
    assert "sender_unaligned" in await codes(client, campaigns_db, workspace_id)


@pytest.mark.parametrize("command", ["start", "schedule"])
@pytest.mark.parametrize(
    ("email", "signed"),
    [("a@example.org", True), ("a@EXAMPLE.org", True), ("a@straße.de", True), ("a@news.example.org", False)],
)
async def test_a_domain_that_the_installation_signs_for_needs_no_other_key(
    campaigns_db, keys, workspace_id, service_env, http_client, hasty, command, email, signed
):
    """A key of the installation signs for exactly its domain; the mailer takes it for none below."""
    named = {"BARID_DKIM_DOMAINS": "Example.org, straße.de", "CAMPAIGNS_SENDER_POLICY": "refuse"}
    owner = await workspace(campaigns_db.worker, keys, workspace_id)
    async with http_client(application(service_env, campaigns_db, keys, **named), owner.token) as client:
        sender = await client.post("/v1/senders", json={"name": "B", "email": email})
        made = await ready(client, campaigns_db, workspace_id, sender_id=sender.json()["id"])
        async with campaigns_db.worker.transaction() as tx:
            await projections.projections.alive(tx, projections.CONSUMER)
        body = {} if command == "start" else {"at": "2027-01-01T00:00:00Z"}
        answer = await client.post(f"/v1/campaigns/{made['id']}/{command}", json=body)
        if signed:
            assert (answer.status_code, answer.json()["warnings"]) == (200, [])
        else:
            problem(answer, 422, "sender_unaligned")


async def test_a_scheduled_campaign_from_such_a_domain_is_started(campaigns_db, client, workspace_id):
    made = await ready(client, campaigns_db, workspace_id)
    at = {"at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    assert (await client.post(f"/v1/campaigns/{made['id']}/schedule", json=at)).status_code == 200
    async with campaigns_db.worker.transaction() as tx:
        await tx.execute("update campaigns set scheduled_at = now()")
    await start_due(campaigns_db.worker, 3600, Installation("refuse", {"example.org"}))
    found = (await client.get(f"/v1/campaigns/{made['id']}")).json()
    assert (found["status"], found["warnings"]) == ("running", [])


async def test_what_fails_at_a_workspaces_own_domain_is_told_beside_the_installations_key(
    campaigns_db, keys, workspace_id, service_env, http_client
):
    owner = await workspace(campaigns_db.worker, keys, workspace_id)
    await deliver(campaigns_db.worker, MAIN, [changed(workspace_id, failing=["spf"])])
    app = application(service_env, campaigns_db, keys, BARID_DKIM_DOMAINS="example.org")
    async with http_client(app, owner.token) as client:
        assert list(await codes(client, campaigns_db, workspace_id)) == ["sender_domain_failing"]


@pytest.mark.parametrize("text", ["example.org;b.org", "org", "a@b.org", "ü..de"])
def test_a_list_of_signed_domains_that_names_none_stops_the_start(service_env, campaigns_db, keys, text):
    with pytest.raises(Misconfigured, match="BARID_DKIM_DOMAINS"):
        application(service_env, campaigns_db, keys, BARID_DKIM_DOMAINS=text)


@pytest.fixture
def hasty(monkeypatch, impatient):
    monkeypatch.setattr(alignment.warnings, "__defaults__", (0.3,))
    monkeypatch.setattr(projections, "SILENT_S", 60.0)


@pytest.mark.parametrize("command", ["start", "schedule"])
@pytest.mark.parametrize("whose", ["workspace", "installation"])
async def test_a_policy_refuses_it_and_nothing_is_started(
    campaigns_db, keys, workspace_id, service_env, http_client, hasty, command, whose
):
    strict = {"CAMPAIGNS_SENDER_POLICY": "refuse"} if whose == "installation" else {}
    owner = await workspace(campaigns_db.worker, keys, workspace_id)
    async with http_client(application(service_env, campaigns_db, keys, **strict), owner.token) as client:
        if whose == "workspace":
            answer = await client.patch(f"/v1/workspaces/{workspace_id}", json={"sender_policy": "refuse"})
            assert answer.json()["sender_policy"] == "refuse"
        made = await ready(client, campaigns_db, workspace_id)
        body = {} if command == "start" else {"at": "2027-01-01T00:00:00Z"}
        async with campaigns_db.worker.transaction() as tx:
            await projections.projections.alive(tx, projections.CONSUMER)
        told = problem(await client.post(f"/v1/campaigns/{made['id']}/{command}", json=body), 422, "sender_unaligned")
        assert told["params"] == {"domain": "example.org"}
        assert "/v1/domains" in told["mend"]
        assert (await client.get(f"/v1/campaigns/{made['id']}")).json()["status"] == "draft"
        assert await outbox_events(campaigns_db.worker, "campaign.started") == []
        await deliver(campaigns_db.worker, MAIN, [changed(workspace_id)])
        assert (await client.post(f"/v1/campaigns/{made['id']}/{command}", json=body)).status_code == 200


async def test_a_refusal_waits_for_what_may_be_on_its_way(
    campaigns_db, keys, workspace_id, service_env, http_client, monkeypatch
):
    monkeypatch.setattr(alignment.warnings, "__defaults__", (5.0,))
    owner = await workspace(campaigns_db.worker, keys, workspace_id, sender_policy="refuse")
    async with http_client(application(service_env, campaigns_db, keys), owner.token) as client:
        made = await ready(client, campaigns_db, workspace_id)

        async def later() -> httpx.Response:
            await asyncio.sleep(0.3)
            await deliver(campaigns_db.worker, MAIN, [changed(workspace_id)])
            return httpx.Response(200)

        answer, _ = await asyncio.gather(start(client, made), later())
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("seed", range(5))
async def test_states_of_a_domain_in_any_order_leave_the_last(campaigns_db, workspace_id, seed):
    one, two = new_id(), new_id()
    events = [
        changed(workspace_id, domain_id=one, verified=False, revision=1),
        changed(workspace_id, domain_id=one, failing=["mx"], revision=2),
        changed(workspace_id, domain_id=one, failing=[], revision=3),
        changed(workspace_id, "b.example.org", two, revision=1),
        changed(workspace_id, "b.example.org", two, verified=False, deleted=True, revision=2),
    ]
    await deliver_shuffled(campaigns_db.worker, MAIN, events, seed)
    async with campaigns_db.worker.connection() as connection:
        rows = await connection.fetch("select id, verified, failing, deleted, revision from domains")
    assert {row["id"]: tuple(row)[1:] for row in rows} == {one: (True, [], False, 3), two: (False, [], True, 2)}


async def test_a_mail_that_gmail_would_cut_off_is_warned_about_at_the_start(client, campaigns_db, workspace_id):
    await deliver(campaigns_db.worker, MAIN, [changed(workspace_id)])
    long = "<html><body>" + "<p>long</p>" * 10_000 + '<a href="{{ unsubscribe_url }}">leave</a></body></html>'
    made = await ready(client, campaigns_db, workspace_id, content={"subject": "x", "html": long, "language": "en"})
    found = (await start(client, made)).json()["warnings"]
    assert [one["code"] for one in found] == ["html_clipped"]
    preview = (await client.post(f"/v1/campaigns/{made['id']}/preview", json={})).json()
    assert "102 KB" in preview["warnings"][0]


async def test_a_subject_that_some_people_lack_is_warned_about_at_the_start(client, campaigns_db, workspace_id):
    await deliver(campaigns_db.worker, MAIN, [changed(workspace_id)])
    content = {"subject": "{{ attributes.offer }}", "html": LEAVE, "language": "en"}
    found = (await start(client, await ready(client, campaigns_db, workspace_id, content=content))).json()["warnings"]
    assert [(one["code"], one["params"]) for one in found] == [("subject_empty", {"variant": "en", "part": "subject"})]


async def test_a_subject_that_is_empty_whoever_gets_it_is_refused(client, campaigns_db, workspace_id):
    content = {"subject": "{{ '' }}", "html": LEAVE, "language": "en"}
    told = problem(await client.post("/v1/campaigns", json={"name": "x", "content": content}), 422, "invalid_content")
    assert (told["params"]["part"], told["params"]["reason"]) == ("subject", "subject_missing")
