"""The query by which KEDA counts what mailers have to do, on the migrated database, as the role it signs in with."""

import pytest
from common.testing.deliver import deliver

from tests.contract.deploy.k8s.documents import documents
from tests.fixtures.sending import MAIN, Campaign, mailing, until


@pytest.fixture
def query():
    scaler = documents("prod").named("ScaledObject", "delivery-mailer")
    (trigger,) = scaler["spec"]["triggers"]
    authentication = documents("prod").named("TriggerAuthentication", trigger["authenticationRef"]["name"])
    (reference,) = authentication["spec"]["secretTargetRef"]
    assert reference == {"parameter": "connection", "name": "delivery-worker-role", "key": "url"}
    return trigger["metadata"]["query"]


async def test_open_rows_of_running_campaigns_are_counted(delivery_db, workspace_id, smtp_server, query):
    async def waiting():
        async with delivery_db.worker.connection() as connection:
            return await connection.fetchval(query)

    assert await waiting() == 0
    running, paused = Campaign(workspace_id, n=30), Campaign(workspace_id, n=5)
    await deliver(delivery_db.worker, MAIN, [*running.events(), *paused.events(), paused.state("paused", 2)])
    assert await waiting() == 30
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, running.id, sent=30)
    assert await waiting() == 0
