"""What delivery refuses: what is wrong, where, how to mend it; and that nothing changed."""

import pytest
import pytest_asyncio
from common.contracts.leads import LeadErasedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from delivery.main import create_app
from delivery.settings import Settings

from tests.fixtures.refusals import refused, refused_tokens
from tests.fixtures.sending import MAIN, Campaign, rows


@pytest_asyncio.fixture
async def client(delivery_db, service_env, http_client, keys, workspace_id):
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as connected:
        yield connected


@pytest.fixture
def impatient(monkeypatch):
    """A campaign that is not known is waited for shortly."""
    monkeypatch.setattr("delivery.api.messages.WAIT_S", 0.2)


async def ledger(db, workspace_id, status="pending"):
    campaign = Campaign(workspace_id, n=1)
    await deliver(db.worker, MAIN, campaign.events())
    async with db.worker.connection() as connection:
        await connection.execute("update messages set status = $2 where mailing_id = $1", campaign.id, status)
    (row,) = await rows(db, campaign.id)
    return campaign, f"/v1/messages/{row['id']}"


async def test_a_message_that_is_not_uncertain(client, delivery_db, workspace_id):
    for status in ("pending", "sent", "failed"):
        _, path = await ledger(delivery_db, workspace_id, status)
        for verb in ("resend", "resolve"):
            problem = await refused(client, delivery_db, (409, "not_uncertain"), "POST", f"{path}/{verb}", json={})
            assert problem["params"]["status_now"] == status


async def test_a_cancelled_campaign_and_an_erased_person_get_nothing_again(client, delivery_db, workspace_id):
    campaign, path = await ledger(delivery_db, workspace_id, "uncertain")
    await deliver(delivery_db.worker, MAIN, [campaign.state("cancelled", 2)])
    await refused(client, delivery_db, (409, "campaign_cancelled"), "POST", f"{path}/resend")
    campaign, path = await ledger(delivery_db, workspace_id, "uncertain")
    gone = LeadErasedV1(contact_id=campaign.recipients[0].contact_id, request_id=new_id(), address_hashes=[])
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, gone)])
    await refused(client, delivery_db, (409, "address_erased"), "POST", f"{path}/resend")


async def test_an_outcome_nobody_knows(client, delivery_db, workspace_id):
    _, path = await ledger(delivery_db, workspace_id, "uncertain")
    problem = await refused(
        client, delivery_db, (422, "invalid"), "POST", f"{path}/resolve", json={"outcome": "perhaps"}
    )
    assert problem["errors"][0]["where"] == "/outcome"


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1000000000", "cursor=x", "cursor=WzFd", "status=lost",
                                   "campaign_id=x"])  # fmt: skip
async def test_parameters_that_mean_nothing(client, delivery_db, query):
    found = await client.get(f"/v1/messages?{query}")
    code = "bad_cursor" if query.startswith("cursor") else "bad_request"
    await refused(client, delivery_db, (400, code), "GET", f"/v1/messages?{query}")
    assert found.status_code == 400


async def test_tokens_that_are_not_good(client, delivery_db, keys, workspace_id):
    _, path = await ledger(delivery_db, workspace_id, "uncertain")
    requests = [("GET", "/v1/messages", None), ("POST", f"{path}/resend", None), ("POST", f"{path}/resolve", {})]
    await refused_tokens(client, delivery_db, keys, workspace_id, requests)


async def test_ids_of_another_workspace(client, delivery_db, impatient):
    campaign, path = await ledger(delivery_db, new_id(), "uncertain")
    for code, method, where, body in (
        ("message_not_found", "GET", path, None),
        ("message_not_found", "POST", f"{path}/resend", None),
        ("message_not_found", "POST", f"{path}/resolve", {"outcome": "sent"}),
        ("campaign_not_found", "GET", f"/v1/messages?campaign_id={campaign.id}", None),
    ):
        await refused(client, delivery_db, (404, code), method, where, json=body)
