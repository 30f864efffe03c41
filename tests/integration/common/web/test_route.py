"""One request = one transaction, committed before the answer starts."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.integration.common.web.toy import Gate, toy_app

EFFECTS = "select key from outbox order by id"


async def effects(db: Any) -> list[str]:
    async with db.worker.connection() as connection:
        return [row["key"] for row in await connection.fetch(EFFECTS)]


@pytest.fixture
def app(contacts_db, keys):
    return toy_app(contacts_db.api_url, keys.public)


@pytest.fixture
def token(keys, workspace_id) -> str:
    return keys.token(workspace_id)


async def test_the_commit_comes_before_the_answer_starts(app, contacts_db, token, http_client) -> None:
    seen: list[list[str]] = []

    async def spy(scope: Any, receive: Any, send: Any) -> None:
        async def look(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append(await effects(contacts_db))
            await send(message)

        await app(scope, receive, look)

    thing = str(uuid4())
    async with http_client(app, token):
        transport = httpx.ASGITransport(app=spy)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            response = await client.post(
                "/v1/things", json={"subject_id": thing}, headers={"Authorization": f"Bearer {token}"}
            )

    assert response.status_code == 201
    assert seen == [[thing]]


@pytest.mark.parametrize(("how", "status", "code"), [("conflict", 409, "conflict"), ("crash", 500, "internal")])
async def test_an_error_undoes_everything(app, contacts_db, token, http_client, how, status, code) -> None:
    async with http_client(app, token) as client:
        response = await client.post(f"/v1/things/{uuid4()}/break?how={how}")

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "secret" not in response.text
    assert await effects(contacts_db) == []


async def test_a_swallowed_database_error_is_no_success(app, contacts_db, token, http_client) -> None:
    """PostgreSQL turns such a commit into a rollback without an error; the caller must not read 200."""
    async with http_client(app, token) as client:
        response = await client.post(f"/v1/things/{uuid4()}/break?how=swallow")

    assert response.status_code == 500
    assert await effects(contacts_db) == []


async def test_a_connection_lost_inside_is_503_and_the_next_request_works(app, contacts_db, token, http_client) -> None:
    async with http_client(app, token) as client:
        broken = await client.post(f"/v1/things/{uuid4()}/break?how=kill")
        again = await client.post("/v1/things", json={"subject_id": str(uuid4())})

    assert (broken.status_code, broken.json()["code"]) == (503, "unavailable")
    assert int(broken.headers["retry-after"]) >= 1
    assert again.status_code == 201
    assert len(await effects(contacts_db)) == 1


async def test_reads_run_read_only_in_the_callers_workspace(app, workspace_id, token, http_client) -> None:
    async with http_client(app, token) as client:
        response = await client.get("/v1/things")

    assert response.json() == {"workspace": str(workspace_id), "readonly": "on", "limit": 10}


async def test_a_route_may_open_its_own_transaction(app, contacts_db, token, http_client) -> None:
    async with http_client(app, token) as client:
        response = await client.post("/v1/things/upload", content=b"x" * 9_000)

    assert response.json() == {"bytes": 9_000, "tx": False}
    assert len(await effects(contacts_db)) == 1


async def test_a_slow_body_holds_no_transaction(app, contacts_db, token, http_client) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def body():
        yield b'{"subject_id":'
        arrived.set()
        await go.wait()
        yield f'"{uuid4()}"}}'.encode()

    async with http_client(app, token) as client:
        sending = asyncio.create_task(
            client.post("/v1/things", content=body(), headers={"Content-Type": "application/json"})
        )
        await asyncio.wait_for(arrived.wait(), 5)
        async with contacts_db.worker.connection() as connection:
            idle = await connection.fetchval(
                "select count(*) from pg_stat_activity where application_name = 'contacts-api' and state ~ 'idle in'"
                " and datname = current_database()"
            )
        go.set()
        response = await sending

    assert idle == 0
    assert response.status_code == 201


async def test_without_a_database_reads_and_writes_are_503_but_the_process_lives(keys, token, http_client) -> None:
    app = toy_app("postgresql://nobody@127.0.0.1:9/none", keys.public)
    async with http_client(app, token) as client:
        for response in (
            await client.get("/v1/things"),
            await client.post("/v1/things", json={"subject_id": str(uuid4())}),
            await client.get("/readyz"),
        ):
            assert response.status_code == 503
            assert response.headers["content-type"] == "application/problem+json"
            assert int(response.headers["retry-after"]) >= 1
        assert (await client.get("/healthz")).status_code == 200


async def test_ready_and_metrics_with_a_database(app, http_client, token) -> None:
    async with http_client(app, token) as client:
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        await client.get(f"/v1/things/{uuid4()}")
        metrics = (await client.get("/metrics")).text

    line = (
        'barid_http_request_seconds_count{method="GET",route="/v1/things/{thing_id}",service="contacts",status="404"}'
    )
    assert line in metrics


async def test_twenty_requests_at_once_share_ten_connections(app, contacts_db, token, http_client) -> None:
    async with http_client(app, token) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/things", json={"subject_id": str(uuid4())}) for _ in range(20))
        )

    assert {answer.status_code for answer in answers} == {201}
    assert len(await effects(contacts_db)) == 20


class TestIdempotency:
    async def post(self, client: httpx.AsyncClient, key: str, thing: UUID | str, path: str = "/v1/things"):
        return await client.post(path, json={"subject_id": str(thing)}, headers={"Idempotency-Key": key})

    async def test_the_same_request_gets_the_first_answer(self, app, contacts_db, token, http_client) -> None:
        thing = uuid4()
        async with http_client(app, token) as client:
            first = await self.post(client, "k", thing)
            second = await self.post(client, "k", thing)

        assert (first.status_code, first.content) == (second.status_code, second.content) == (201, first.content)
        for header in ("location", "etag", "content-type"):
            assert second.headers[header] == first.headers[header]
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert second.headers["x-trace-id"] != first.headers["x-trace-id"]
        assert await effects(contacts_db) == [str(thing)]

    async def test_another_body_is_422(self, app, contacts_db, token, http_client) -> None:
        async with http_client(app, token) as client:
            await self.post(client, "k", uuid4())
            response = await self.post(client, "k", uuid4())

        assert (response.status_code, response.json()["code"]) == (422, "key_reused")
        assert len(await effects(contacts_db)) == 1

    async def test_while_the_first_runs_it_is_409_then_the_answer(self, contacts_db, keys, token, http_client) -> None:
        gate, thing = Gate(), uuid4()
        app = toy_app(contacts_db.api_url, keys.public, gate)
        async with http_client(app, token) as client:
            first = asyncio.create_task(self.post(client, "k", thing))
            await asyncio.wait_for(gate.entered.wait(), 5)
            running = await self.post(client, "k", thing)
            other = await self.post(client, "k", uuid4())
            gate.go.set()
            answered = await first
            replayed = await self.post(client, "k", thing)

        for response in (running, other):
            assert (response.status_code, response.json()["code"]) == (409, "in_progress")
        assert replayed.content == answered.content
        assert await effects(contacts_db) == [str(thing)]

    async def test_of_twenty_at_once_one_has_an_effect(self, app, contacts_db, token, http_client) -> None:
        thing = uuid4()
        async with http_client(app, token) as client:
            answers = await asyncio.gather(*(self.post(client, "k", thing) for _ in range(20)))

        assert {answer.status_code for answer in answers} <= {201, 409}
        assert any(answer.status_code == 201 for answer in answers)
        assert await effects(contacts_db) == [str(thing)]

    async def test_a_refused_request_may_be_sent_again(self, app, contacts_db, token, http_client) -> None:
        """Neither the refusal nor the key is stored: the transaction that would hold them was undone."""
        path, key = f"/v1/things/{uuid4()}/break", {"Idempotency-Key": "k"}
        async with http_client(app, token) as client:
            refused = await client.post(f"{path}?how=conflict", headers=key)
            again = await client.post(f"{path}?how=fine", headers=key)

        assert (refused.status_code, again.status_code) == (409, 200)
        assert len(await effects(contacts_db)) == 1

    async def test_keys_are_apart_by_workspace_and_path(self, app, contacts_db, keys, token, http_client) -> None:
        path = "/v1/things/{}/break?how=fine"
        async with http_client(app, token) as client:
            foreign = {"Authorization": f"Bearer {keys.token(uuid4())}"}
            answers = [
                await client.post(path.format(thing), headers={"Idempotency-Key": "k", **headers})
                for thing, headers in ((UUID(int=1), {}), (UUID(int=2), {}), (UUID(int=1), foreign))
            ]

        assert not any("idempotent-replayed" in answer.headers for answer in answers)
        assert len(await effects(contacts_db)) == 3

    async def test_a_key_is_forgotten_after_a_day(self, app, contacts_db, token, http_client) -> None:
        from common.web.idempotency import forget_old_keys

        thing = uuid4()
        async with http_client(app, token) as client:
            await self.post(client, "k", thing)
            async with contacts_db.worker.connection() as connection:
                await connection.execute("update idempotency_keys set at = now() - interval '24 hours 1 minute'")
            again = await self.post(client, "k", thing)
            await forget_old_keys(contacts_db.worker)
            async with contacts_db.worker.connection() as connection:
                kept = await connection.fetchval("select count(*) from idempotency_keys")

        assert "idempotent-replayed" not in again.headers
        assert kept == 1

    @pytest.mark.parametrize("key", ["", "x" * 256])
    async def test_a_key_that_cannot_be_one_is_400(self, app, token, http_client, key) -> None:
        async with http_client(app, token) as client:
            response = await self.post(client, key, uuid4())
            longest = await self.post(client, "x" * 255, uuid4())

        assert (response.status_code, response.json()["code"]) == (400, "bad_request")
        assert longest.status_code == 201
