"""The document of all services, where no gateway in one process makes it."""

from pathlib import Path

import httpx
import pytest
from common.errors import Misconfigured

from tests.contract.services import ROOT
from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.integration.campaigns.scene import application

MERGED = ROOT / "docs/openapi.json"


async def test_the_file_is_served_in_place_of_the_services_own(
    service_env, campaigns_db: ServiceDatabase, keys: TestKeys
) -> None:
    app = application(service_env, campaigns_db, keys, BARID_OPENAPI_FILE=str(MERGED))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://barid.example") as client:
        answer = await client.get("/v1/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == MERGED.read_bytes()
    assert "/v1/contacts" in answer.json()["paths"]
    assert "/v1/contacts" not in app.openapi()["paths"], "a gateway in one process merges the service's own"


async def test_without_it_the_service_tells_of_itself(
    service_env, campaigns_db: ServiceDatabase, keys: TestKeys
) -> None:
    app = application(service_env, campaigns_db, keys)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://barid.example") as client:
        paths = (await client.get("/v1/openapi.json")).json()["paths"]
    assert "/v1/campaigns" in paths
    assert "/v1/contacts" not in paths


@pytest.mark.parametrize("text", [None, "not json", "[]", "{}", '{"openapi": "2.0"}', '{"openapi": 3}'])
def test_a_file_that_is_no_document_ends_the_start(
    service_env, keys: TestKeys, campaigns_db: ServiceDatabase, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "openapi.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Misconfigured, match=r"BARID_OPENAPI_FILE=.*openapi\.json is not a readable OpenAPI 3 document"):
        application(service_env, campaigns_db, keys, BARID_OPENAPI_FILE=str(file))
