"""A broker that gives the users of deploy/k8s the rights of their KafkaUsers, as Strimzi's user operator would."""

import asyncio
import signal
from contextlib import asynccontextmanager
from secrets import token_urlsafe

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from common.bus.kafka import KafkaOptions
from common.bus.kafka.topics import apply
from common.contracts.topics import TOPICS

from tests.fixtures.kafka import started
from tools.manifests import users

USERS = list(users())
PASSWORDS = {user["metadata"]["name"]: token_urlsafe(24) for user in USERS}
LITERAL, ALLOW = 3, 3
KINDS = {"topic": 2, "group": 3, "cluster": 4}
OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
    "IdempotentWrite": 12,
}


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    broker = started(tmp_path_factory.mktemp("guarded"), users=PASSWORDS)
    asyncio.run(_grant(broker.address))
    yield broker
    broker.stop(signal.SIGKILL)


async def _grant(address):
    """The KafkaUsers' ACLs, as Strimzi's user operator gives them. One request each: aiokafka sends no lists."""
    async with admin_of(bootstrap_servers=address) as admin:
        for user in USERS:
            for acl in user["spec"]["authorization"]["acls"]:
                resource = acl["resource"]
                for operation in acl["operations"]:
                    answer = await admin._send_request(
                        CreateAclsRequest(
                            KINDS[resource["type"]],
                            resource.get("name", "kafka-cluster"),
                            LITERAL,
                            f"User:{user['metadata']['name']}",
                            "*",
                            OPERATIONS[operation],
                            ALLOW,
                        )
                    )
                    assert [code for code, *_ in answer.creation_responses] == [0], answer
        await apply(KafkaOptions(address), TOPICS)


@asynccontextmanager
async def admin_of(**options):
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
