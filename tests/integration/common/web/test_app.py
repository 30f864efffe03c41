"""Identity, problem documents, CORS and limits of the application every service builds."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import structlog
from common.contracts.campaigns import AccessRevokedV1
from common.contracts.envelope import Received
from common.errors import Misconfigured
from common.telemetry import current_trace_id
from common.web.access import access_consumer
from common.web.route import service_router
from common.web.tokens import new_signing_key, sign

from tests.integration.common.web.toy import toy_app

ORIGIN = "https://app.example"


@pytest.fixture
def app(contacts_db, keys):
    return toy_app(contacts_db.api_url, keys.public, cors_origins=f"{ORIGIN}, https://other.example")


@pytest.fixture
def token(keys, workspace_id) -> str:
    return keys.token(workspace_id)


async def test_every_problem_has_the_same_shape(app, token, http_client) -> None:
    json_type = {"Content-Type": "application/json"}
    requests = [
        ("GET", f"/v1/things/{uuid4()}", {}, 404, "not_found"),
        ("GET", "/v1/things/not-an-id", {}, 404, "not_found"),
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("DELETE", "/v1/things", {}, 405, "method_not_allowed"),
        ("GET", "/v1/things?limit=many", {}, 400, "bad_request"),
        ("POST", "/v1/things", {"content": b"{", "headers": json_type}, 400, "bad_request"),
        (
            "POST",
            "/v1/things",
            {"content": b"\xff", "headers": {"Content-Type": "application/json"}},
            400,
            "bad_request",
        ),
        ("POST", "/v1/things", {"json": {"subject_id": 1, "surprise": 2}}, 422, "invalid"),
        ("POST", "/v1/things", {"json": []}, 422, "invalid"),
        ("POST", "/v1/things", {}, 422, "invalid"),
        ("POST", "/v1/things", {"content": b"x" * 6_000}, 413, "too_large"),
        ("PATCH", f"/v1/things/{uuid4()}", {"headers": {"If-Match": '"r2"'}}, 412, "stale"),
        ("POST", f"/v1/things/{uuid4()}/break?how=conflict", {}, 409, "conflict"),
        ("POST", f"/v1/things/{uuid4()}/break?how=crash", {}, 500, "internal"),
    ]
    async with http_client(app, token) as client:
        for method, path, options, status, code in requests:
            response = await client.request(method, path, **options)
            found = response.json()
            assert (response.status_code, found["status"], found["code"]) == (status, status, code), (path, found)
            assert response.headers["content-type"] == "application/problem+json", path
            assert found["type"] == f"https://barid.dev/problems/{code}"
            assert set(found) == {"type", "title", "status", "detail", "code", "params", "mend", "trace_id", "errors"}
            assert found["trace_id"] == response.headers["x-trace-id"]
            assert found["title"]
            assert found["detail"]


async def test_a_payload_problem_points_at_each_field(app, token, http_client) -> None:
    async with http_client(app, token) as client:
        response = await client.post("/v1/things", json={"subject_id": "x", "tags": ["a", 7], "a/b~c": 1})

    assert [error["where"] for error in response.json()["errors"]] == ["/subject_id", "/tags/1", "/a~1b~0c"]


async def test_params_and_mend_travel(app, token, http_client) -> None:
    thing = str(uuid4())
    async with http_client(app, token) as client:
        found = (await client.post(f"/v1/things/{thing}/break?how=conflict")).json()

    assert (found["params"], found["mend"], found["detail"]) == ({"thing": thing}, "Wait", "The thing is busy")


async def test_the_trace_goes_on_from_the_caller(app, token, http_client) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with http_client(app, token) as client:
        response = await client.get("/nowhere", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        broken = await client.get("/nowhere", headers={"traceparent": "00-zzz-1-1"})

    assert response.json()["trace_id"] == trace
    assert len(broken.json()["trace_id"]) == 32


async def test_no_or_wrong_credentials_are_401_before_anything_else(app, keys, workspace_id, http_client) -> None:
    foreign, _ = new_signing_key()
    wrong = [
        "",
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer ",
        "Bearer x.y.z",
        f"Bearer {keys.token(workspace_id, ttl_s=-60)}",
        f"Bearer {sign(foreign, workspace_id=workspace_id, subject_id=uuid4(), role='owner', ttl_s=60)}",
    ]
    async with http_client(app) as client:
        for header in wrong:
            for path, body in (("/v1/things", b"{"), ("/v1/things/upload", b"x"), ("/v1/things/1/break", b"")):
                response = await client.post(path, content=body, headers={"Authorization": header} if header else {})
                assert (response.status_code, response.json()["code"]) == (401, "unauthorized"), (header, path)
                assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_role_may_only_do_what_it_may(app, keys, workspace_id, http_client) -> None:
    async with http_client(app, keys.token(workspace_id, role="viewer")) as client:
        read = await client.get("/v1/things")
        write = await client.post("/v1/things", content=b"not even json")
    async with http_client(app, keys.token(workspace_id, scopes=["contacts:write"])) as client:
        scoped = await client.get("/v1/things")

    assert read.status_code == 200
    assert (write.status_code, write.json()["code"]) == (403, "forbidden")
    assert write.json()["params"] == {"scope": "contacts:write"}
    assert scoped.status_code == 403


async def test_a_public_path_needs_no_token(app, http_client) -> None:
    async with http_client(app) as client:
        assert (await client.get("/f/newsletter")).json() == {"form": "newsletter"}


def test_a_route_that_says_nothing_about_callers_does_not_start() -> None:
    router = service_router("/open", "open")

    with pytest.raises(TypeError, match="allow"):

        @router.get("")
        async def read_everything() -> None: ...


@pytest.mark.parametrize("kind", ["token", "member"])
async def test_revoked_access_ends_within_seconds(app, contacts_db, keys, workspace_id, http_client, kind) -> None:
    other_workspace = keys.token(uuid4())
    token = keys.token(workspace_id)
    async with http_client(app) as client:
        first = await client.get("/v1/things", headers={"Authorization": f"Bearer {token}"})
        principal = app.state.tokens.verify(token)
        event = Received(
            uuid4(),
            workspace_id,
            datetime.now(UTC),
            "k",
            AccessRevokedV1(
                subject_kind=kind,
                subject_id=principal.token_id if kind == "token" else principal.subject_id,
                not_before=datetime.now(UTC),
            ),
        )
        consumer = access_consumer("contacts.access")
        for _ in range(2):  # events are doubled
            async with contacts_db.worker.transaction() as tx:
                await consumer.subscriptions[0].handle(tx, [event, event])
        begin = time.monotonic()
        while (await client.get("/v1/things", headers={"Authorization": f"Bearer {token}"})).status_code != 401:
            assert time.monotonic() - begin < 5
            await asyncio.sleep(0.05)
        later = await client.get("/v1/things", headers={"Authorization": f"Bearer {keys.token(workspace_id)}"})
        foreign = await client.get("/v1/things", headers={"Authorization": f"Bearer {other_workspace}"})

    assert first.status_code == 200
    assert later.status_code == 200  # issued afterwards
    assert foreign.status_code == 200


async def test_the_log_of_a_crash_says_whose_request_it_was(app, token, workspace_id, http_client, monkeypatch) -> None:
    told: list[dict] = []

    class Log:
        def exception(self, _event: str, **_more: object) -> None:
            told.append({**structlog.contextvars.get_contextvars(), "trace_id": current_trace_id()})

    monkeypatch.setattr("common.web.problems._log", Log())
    async with http_client(app, token) as client:
        crash = await client.post(f"/v1/things/{uuid4()}/break?how=crash")
        assert (await client.get("/nowhere")).status_code == 404
    assert told == [{"workspace_id": str(workspace_id), "trace_id": crash.headers["x-trace-id"]}]


class TestCors:
    async def test_a_listed_origin_may_read_answers_and_problems(self, app, token, http_client) -> None:
        async with http_client(app, token) as client:
            for path in ("/v1/things", "/nowhere", f"/v1/things/{uuid4()}"):
                response = await client.get(path, headers={"Origin": ORIGIN})
                assert response.headers["access-control-allow-origin"] == ORIGIN
                assert "access-control-allow-credentials" not in response.headers
            crash = await client.post(f"/v1/things/{uuid4()}/break?how=crash", headers={"Origin": ORIGIN})

        assert (crash.status_code, crash.headers["access-control-allow-origin"]) == (500, ORIGIN)
        assert "etag" in crash.headers["access-control-expose-headers"].lower()

    async def test_a_preflight_needs_no_token(self, app, http_client) -> None:
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,idempotency-key,if-match,content-type",
        }
        async with http_client(app) as client:
            response = await client.options("/v1/things", headers=asked)

        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == ORIGIN

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example"])
    async def test_other_origins_get_nothing(self, app, token, http_client, origin) -> None:
        async with http_client(app, token) as client:
            response = await client.get("/v1/things", headers={"Origin": origin})

        assert "access-control-allow-origin" not in response.headers

    async def test_without_a_list_nobody_is_allowed(self, contacts_db, keys, token, http_client) -> None:
        async with http_client(toy_app(contacts_db.api_url, keys.public), token) as client:
            response = await client.get("/v1/things", headers={"Origin": ORIGIN})

        assert "access-control-allow-origin" not in response.headers


def test_a_wildcard_origin_ends_the_start(contacts_db, keys) -> None:
    with pytest.raises(Misconfigured, match="BARID_CORS_ORIGINS"):
        toy_app(contacts_db.api_url, keys.public, cors_origins="*")


async def test_security_headers_are_on_every_answer(app, contacts_db, keys, token, http_client) -> None:
    async with http_client(app, token) as client:
        for path in ("/healthz", "/v1/things", "/nowhere", "/f/x"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert "strict-transport-security" not in headers
    secure = toy_app(contacts_db.api_url, keys.public, public_url="https://barid.example")
    async with http_client(secure, token) as client:
        assert "strict-transport-security" in (await client.get("/healthz")).headers


async def test_a_body_without_a_length_is_limited_too(app, token, http_client) -> None:
    async def endless():
        for _ in range(100):
            yield b"x" * 1_000

    async with http_client(app, token) as client:
        plain = await client.post("/v1/things", content=endless(), headers={"Content-Type": "application/json"})
        upload = await client.post("/v1/things/upload", content=endless())

    assert (plain.status_code, upload.status_code) == (413, 413)


async def test_the_document_has_stable_ids_security_and_problems(app, http_client) -> None:
    async with http_client(app) as client:
        found = (await client.get("/v1/openapi.json")).json()

    assert found["openapi"].startswith("3.1")
    create = found["paths"]["/v1/things"]["post"]
    assert create["operationId"] == "create_thing"
    assert create["security"] == [{"bearer": []}]
    assert create["x-scope"] == "contacts:write"
    assert "application/problem+json" in create["responses"]["422"]["content"]
    assert [p["name"] for p in create["parameters"] if p["in"] == "header"] == ["Idempotency-Key"]
    assert found["paths"]["/f/{form}"]["get"]["security"] == []
    assert "/metrics" not in found["paths"]
