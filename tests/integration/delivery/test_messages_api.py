"""/v1/messages over HTTP."""

from common.contracts.email import EmailSentV1
from common.ids import new_id
from common.testing.deliver import deliver, outbox_events
from delivery.main import create_app
from delivery.settings import Settings

from tests.fixtures.sending import MAIN, Campaign, by_topic, mailing, statuses, until


async def uncertain_campaign(delivery_db, workspace_id, smtp_server, n=3):
    campaign = Campaign(workspace_id, n=n)
    smtp_server.drop["user1@example.com"] = "after_dot"
    smtp_server.times["user1@example.com"] = 1
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=n - 1, uncertain=1)
    return campaign


async def test_list_by_campaign_and_status(delivery_db, workspace_id, smtp_server, service_env, keys, http_client):
    campaign = await uncertain_campaign(delivery_db, workspace_id, smtp_server)
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id, "viewer")) as client:
        query = {"campaign_id": str(campaign.id), "status": "uncertain"}
        (item,) = (await client.get("/v1/messages", params=query)).json()["items"]
        assert (item["email"], item["status"], item["attempts"], item["reason"]) == (
            "user1@example.com", "uncertain", 1, "connection_lost",
        )  # fmt: skip
        assert item["smtp"] == {"code": None, "enhanced": None, "text": None}
        assert (await client.get(f"/v1/messages/{item['id']}")).json() == item
        seen, cursor = [], None
        while True:
            page = (
                await client.get("/v1/messages", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            ).json()
            seen += [one["email"] for one in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert sorted(seen) == ["user0@example.com", "user1@example.com", "user2@example.com"]
        (sent, _) = (await client.get("/v1/messages", params={"status": "sent"})).json()["items"]
        assert sent["smtp"]["code"] == 250
        assert (await client.get("/v1/messages", params={"status": "nonsense"})).status_code == 400


async def test_resend_sends_it_once_more(delivery_db, workspace_id, smtp_server, service_env, keys, http_client):
    campaign = await uncertain_campaign(delivery_db, workspace_id, smtp_server)
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        (item,) = (await client.get("/v1/messages", params={"status": "uncertain"})).json()["items"]
        again = await client.post(f"/v1/messages/{item['id']}/resend")
        assert again.status_code == 202
        assert again.json()["status"] == "pending"
        refused = await client.post(f"/v1/messages/{item['id']}/resend")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_uncertain")
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=3)
    assert smtp_server.recipients.count("user1@example.com") == 2


async def test_resolve_tells_what_became_of_it(delivery_db, workspace_id, smtp_server, service_env, keys, http_client):
    campaign = await uncertain_campaign(delivery_db, workspace_id, smtp_server)
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        (item,) = (await client.get("/v1/messages", params={"status": "uncertain"})).json()["items"]
        unknown = await client.post(f"/v1/messages/{item['id']}/resolve", json={"outcome": "perhaps"})
        assert unknown.status_code == 422
        done = await client.post(f"/v1/messages/{item['id']}/resolve", json={"outcome": "sent"})
        assert (done.status_code, done.json()["status"]) == (200, "sent")
        assert (await client.post(f"/v1/messages/{item['id']}/resolve", json={})).status_code == 409
    assert await statuses(delivery_db, campaign.id) == {"sent": 3}
    assert len(by_topic(await outbox_events(delivery_db.worker), EmailSentV1)) == 3


async def test_another_workspace_sees_and_changes_nothing(
    delivery_db, workspace_id, smtp_server, service_env, keys, http_client
):
    campaign = await uncertain_campaign(delivery_db, workspace_id, smtp_server)
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        (item,) = (await client.get("/v1/messages", params={"status": "uncertain"})).json()["items"]
    async with http_client(create_app(Settings()), keys.token(new_id())) as stranger:
        assert (await stranger.get("/v1/messages")).json()["items"] == []
        listed = await stranger.get("/v1/messages", params={"campaign_id": str(campaign.id)})
        assert (listed.status_code, listed.json()["code"]) == (404, "campaign_not_found")
        for method, path in (("GET", ""), ("POST", "/resend"), ("POST", "/resolve")):
            answer = await stranger.request(method, f"/v1/messages/{item['id']}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")
    assert (await statuses(delivery_db, campaign.id))["uncertain"] == 1


async def test_a_viewer_may_not_resend(delivery_db, workspace_id, service_env, keys, http_client):
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id, "viewer")) as client:
        assert (await client.post(f"/v1/messages/{new_id()}/resend")).status_code == 403
    async with http_client(create_app(Settings())) as nobody:
        assert (await nobody.get("/v1/messages")).status_code == 401


async def test_a_cancelled_campaign_sends_nothing_again(
    delivery_db, workspace_id, smtp_server, service_env, keys, http_client
):
    campaign = await uncertain_campaign(delivery_db, workspace_id, smtp_server)
    await deliver(delivery_db.worker, MAIN, [campaign.state("cancelled", 2)])
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        (item,) = (await client.get("/v1/messages", params={"status": "uncertain"})).json()["items"]
        answer = await client.post(f"/v1/messages/{item['id']}/resend")
        assert (answer.status_code, answer.json()["code"]) == (409, "campaign_cancelled")


async def test_an_address_is_listed_by_its_identity(delivery_db, workspace_id, service_env, keys, http_client):
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person("Ali@مثال.Com")]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as client:
        (item,) = (await client.get("/v1/messages")).json()["items"]
    assert item["email"] == "ali@xn--mgbh0fb.com"
