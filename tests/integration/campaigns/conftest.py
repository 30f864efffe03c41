"""A workspace with a postal address, and clients of its API."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.fixtures.http import HttpClient
from tests.integration.campaigns.scene import application, workspace


@pytest_asyncio.fixture
async def client(
    campaigns_db: ServiceDatabase,
    keys: TestKeys,
    workspace_id: UUID,
    service_env: Callable[..., dict[str, str]],
    http_client: HttpClient,
) -> AsyncIterator[httpx.AsyncClient]:
    """The owner's client."""
    made = await workspace(campaigns_db.worker, keys, workspace_id)
    async with http_client(application(service_env, campaigns_db, keys), made.token) as connected:
        yield connected


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A miss in a projection is waited for shortly."""
    from campaigns.use_cases import projections

    for name in ("require_sources", "require_lead"):
        function = getattr(projections, name)
        monkeypatch.setattr(function, "__defaults__", (0.2,))
