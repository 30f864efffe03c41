from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest_asyncio

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.integration.contacts import service


@pytest_asyncio.fixture
async def client(
    contacts_db: ServiceDatabase, service_env, http_client, keys: TestKeys, workspace_id: UUID
) -> AsyncIterator[httpx.AsyncClient]:
    service_env("contacts", contacts_db)
    async with http_client(service.app(), keys.token(workspace_id)) as connected:
        yield connected
