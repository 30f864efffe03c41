"""/v1/routes over HTTP: what is kept, what is shown, and what a try says."""

from contextlib import asynccontextmanager

import pytest
from common.errors import Misconfigured
from common.ids import new_id
from delivery.main import create_app
from delivery.settings import Settings

from tests.fixtures.sending import add_direct_route

RELAY = {
    "name": "relay", "host": "smtp.example.org", "username": "me", "password": "correct horse battery",
}  # fmt: skip


@pytest.fixture
def client(delivery_db, workspace_id, service_env, keys, http_client, monkeypatch):
    service_env("delivery", delivery_db)
    monkeypatch.setenv("BARID_ROUTE_NETWORKS", "127.0.0.0/8")

    @asynccontextmanager
    async def open_client(role="manager", workspace=workspace_id):
        async with http_client(create_app(Settings()), keys.token(workspace, role)) as made:
            yield made

    return open_client


async def test_a_password_is_sealed_and_never_shown(client, delivery_db, workspace_id):
    async with client() as http:
        made = await http.post("/v1/routes", json=RELAY)
        assert made.status_code == 201
        route = made.json()
        assert route["has_password"] is True
        listed, got = await http.get("/v1/routes"), await http.get(f"/v1/routes/{route['id']}")
        checked = await http.post(f"/v1/routes/{route['id']}/check")
        for answer in (made, listed, got, checked):
            assert "correct horse" not in answer.text
        assert listed.json()["items"] == [got.json()] == [route]
        assert got.headers["etag"] == '"r1"'
    async with delivery_db.worker.connection() as connection:
        (row,) = await connection.fetch("select * from routes")
    assert b"correct horse" not in row["password"]
    assert row["workspace_id"] == workspace_id


async def test_a_change_is_a_merge_patch_and_keeps_the_password(client):
    async with client() as http:
        route = (await http.post("/v1/routes", json=RELAY | {"limits": {"gmail": {"per_second": 5}}})).json()
        path = f"/v1/routes/{route['id']}"
        changed = await http.patch(
            path, json={"weight": 3, "limits": {"gmail": {"connections": 2}, "*": {"per_second": 1}}}
        )
        assert changed.status_code == 200
        assert changed.json()["has_password"] is True
        assert (changed.json()["weight"], changed.json()["revision"]) == (3, 2)
        limits = changed.json()["limits"]
        assert limits["gmail"] == {"connections": 2, "messages_per_connection": None, "per_second": 5}
        assert limits["*"]["per_second"] == 1
        gone = await http.patch(path, json={"limits": {"gmail": None}})
        assert [*gone.json()["limits"]] == ["*"]
        stale = await http.patch(path, json={"weight": 4}, headers={"If-Match": '"r1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "stale")
        same = await http.patch(path, json={"weight": 3})
        assert same.json()["revision"] == 3, "nothing changed"
        without = await http.patch(path, json={"username": None, "password": None})
        assert (without.json()["has_password"], without.json()["username"]) == (False, None)
        assert (await http.delete(path)).status_code == 204
        assert (await http.get(path)).json()["code"] == "route_not_found"


async def test_a_password_does_not_follow_to_another_host(client):
    """Who may change a route need not know its password, and could read it at a host of their own."""
    async with client() as http:
        route = (await http.post("/v1/routes", json=RELAY)).json()
        path = f"/v1/routes/{route['id']}"
        for change in ({"host": "evil.example.net"}, {"port": 2525}, {"tls": "none"}):
            refused = await http.patch(path, json=change)
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid_route"), change
            assert "password" in refused.json()["mend"]
        moved = await http.patch(path, json={"host": "other.example.org", "password": "another"})
        assert moved.status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"host": "10.0.0.1"}, "route_host_refused"),
        ({"host": "169.254.169.254"}, "route_host_refused"),
        ({"host": "::ffff:10.0.0.1"}, "route_host_refused"),
        ({"host": "64:ff9b::a9fe:a9fe"}, "route_host_refused"),
        ({"kind": "direct"}, "direct_not_offered"),
        ({"password": None}, "invalid_route"),
        ({"username": None}, "invalid_route"),
        ({"host": None}, "invalid_route"),
        ({"host": "a\r\nb"}, "invalid"),
        ({"username": "me\r\nRSET"}, "invalid"),
        ({"password": "x\r\ny"}, "invalid"),
        ({"port": 0}, "invalid"),
        ({"weight": 0}, "invalid"),
        ({"limits": {"hotmail": {"per_second": 1}}}, "invalid_route"),
        ({"limits": {"gmail": {"per_second": 0}}}, "invalid"),
        ({"limits": {"gmail": {"per_hour": 1}}}, "invalid"),
        ({"nonsense": 1}, "invalid"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(client, change, code):
    async with client() as http:
        refused = await http.post("/v1/routes", json=RELAY | change)
        assert refused.status_code in {400, 422}
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == code, refused.text
        assert refused.json()["mend"]
        assert (await http.get("/v1/routes")).json()["items"] == []


async def test_a_name_is_taken_once(client):
    async with client() as http:
        await http.post("/v1/routes", json=RELAY)
        again = await http.post("/v1/routes", json=RELAY)
        assert (again.status_code, again.json()["code"]) == (409, "route_name_taken")
        other = (await http.post("/v1/routes", json=RELAY | {"name": "other"})).json()
        renamed = await http.patch(f"/v1/routes/{other['id']}", json={"name": "relay"})
        assert (renamed.status_code, renamed.json()["code"]) == (409, "route_name_taken")


async def test_a_try_says_what_the_server_said(client, smtp_server):
    plain = {"name": "sink", "host": "127.0.0.1", "port": smtp_server.port, "tls": "none"}
    async with client() as http:

        async def tried(**change):
            body = plain | {"name": f"sink {len(change)} {sorted(change.items())}"[:100]} | change
            made = await http.post("/v1/routes", json=body)
            assert made.status_code == 201, made.text
            return (await http.post(f"/v1/routes/{made.json()['id']}/check")).json()

        fine = await tried()
        assert (fine["ok"], fine["stage"], fine["tls"]) == (True, "greeting", None)
        assert "pipelining" in fine["extensions"]
        unencrypted = await tried(tls="starttls")
        assert (unencrypted["ok"], unencrypted["stage"]) == (False, "tls")
        no_auth = await tried(username="me", password="secret")
        assert no_auth["ok"] is False
        nobody = await tried(port=1)
        assert (nobody["ok"], nobody["stage"]) == (False, "connect")
        private = await tried(host="localhost.localdomain.invalid")
        assert (private["ok"], private["stage"]) == (False, "host")
        smtp_server.refuse = True
        refused = await tried(weight=2)
        assert (refused["ok"], refused["stage"]) == (False, "greeting")
        assert "not now" in refused["said"]
        assert not any(line.startswith("MAIL") for line in smtp_server.commands)
        assert (await http.post(f"/v1/routes/{new_id()}/check")).status_code == 404


async def test_a_name_that_leads_inside_is_refused_when_it_is_looked_up(client, monkeypatch):
    monkeypatch.setenv("BARID_ROUTE_NETWORKS", "")
    async with client() as http:
        made = (await http.post("/v1/routes", json=RELAY | {"host": "localhost"})).json()
        found = (await http.post(f"/v1/routes/{made['id']}/check")).json()
        assert (found["ok"], found["stage"]) == (False, "host")
        assert "not an address on the internet" in found["said"]


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_who_does_not_manage_sees_no_routes(client, role):
    async with client(role) as http:
        assert (await http.get("/v1/routes")).status_code == 403
        assert (await http.post("/v1/routes", json=RELAY)).status_code == 403


async def test_a_password_crosses_the_internet_by_tls_only(monkeypatch):
    """Whatever the operator allows inside."""
    from ipaddress import ip_address

    from common import egress
    from delivery.smtp.route import Route, RouteRefused

    async def somewhere(*_):
        return [ip_address("8.8.8.8")]

    monkeypatch.setattr(egress, "addresses_of", somewhere)
    route = Route("smtp.example.org", 25, "me", "secret", "none", allowed=egress.networks("X", "10.0.0.0/8"))
    with pytest.raises(RouteRefused, match="unencrypted"):
        await route.connect(1)


async def test_a_route_shows_who_asked_for_less_and_what_fails(client, delivery_db, workspace_id):
    async with client() as http:
        route = (await http.post("/v1/routes", json=RELAY)).json()
        async with delivery_db.worker.connection() as connection:
            await connection.execute(
                """
                insert into route_budgets
                  (workspace_id, route_id, provider, ceiling, base_rate, refused_at, paused_until)
                select $1, $2, 'gmail', 40, 20, extract(epoch from now()), extract(epoch from now()) + 30
                """,
                workspace_id,
                route["id"],
            )
            await connection.execute("update routes set failure = '535 5.7.8 no', failing_since = now()")
        shown = (await http.get(f"/v1/routes/{route['id']}")).json()
        assert shown["failure"] == "535 5.7.8 no"
        (slowed,) = shown["slowed"]
        assert (slowed["provider"], slowed["per_second"]) == ("gmail", 20)
        assert 25 < slowed["paused_for_s"] <= 30
        mended = (await http.patch(f"/v1/routes/{route['id']}", json={"password": "right now"})).json()
        assert (mended["failure"], mended["failing_since"]) == (None, None)


@pytest.fixture
def direct(monkeypatch):
    monkeypatch.setenv("BARID_DIRECT_TO_MX", "true")
    monkeypatch.setenv("BARID_EHLO_NAME", "mx1.sender.test")


async def test_without_the_operators_leave_there_is_no_direct_route(client):
    async with client() as http:
        refused = await http.post("/v1/routes", json={"name": "own", "kind": "direct"})
        assert (refused.status_code, refused.json()["code"]) == (422, "direct_not_offered")
        assert "BARID_DIRECT_TO_MX" in refused.json()["mend"]


@pytest.mark.usefixtures("direct")
async def test_a_direct_route_has_no_host(client):
    async with client() as http:
        made = await http.post("/v1/routes", json={"name": "own", "kind": "direct"})
        assert made.status_code == 201, made.text
        route = made.json()
        assert (route["kind"], route["host"], route["port"], route["tls"]) == ("direct", None, None, None)
        assert set(route["limits"]) == {"gmail", "microsoft", "yahoo", "apple"}
        assert (await http.get("/v1/routes")).json()["items"] == [route]
        path = f"/v1/routes/{route['id']}"
        changed = await http.patch(path, json={"weight": 3, "limits": {"*": {"connections": 4}}})
        assert (changed.status_code, changed.json()["weight"], changed.json()["host"]) == (200, 3, None)
        assert (await http.patch(path, json={"weight": 3})).json()["revision"] == 2, "nothing changed"
        tried = await http.post(f"{path}/check")
        assert (tried.status_code, tried.json()["code"]) == (422, "invalid_route")
        relay = (await http.post("/v1/routes", json=RELAY)).json()
        assert (relay["kind"], relay["port"], relay["tls"]) == ("relay", 587, "starttls")


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize(
    "given",
    [{"host": "smtp.example.org"}, {"port": 25}, {"tls": "none"}, {"username": "me"}, {"password": "secret"}],
    ids=lambda given: next(iter(given)),
)
async def test_what_only_a_relay_has_is_refused_of_a_direct_route(client, given):
    (field,) = given
    async with client() as http:
        refused = await http.post("/v1/routes", json={"name": "own", "kind": "direct"} | given)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_route")
        assert field in refused.json()["mend"]
        assert (await http.get("/v1/routes")).json()["items"] == []
        path = f"/v1/routes/{(await http.post('/v1/routes', json={'name': 'own', 'kind': 'direct'})).json()['id']}"
        changed = await http.patch(path, json=given)
        assert (changed.status_code, changed.json()["code"]) == (422, "invalid_route")
        assert (await http.get(path)).json()["revision"] == 1


async def test_a_direct_route_that_was_made_before_can_be_switched_off_when_it_is_not_allowed(
    client, delivery_db, workspace_id
):
    route_id = await add_direct_route(delivery_db, workspace_id)
    async with client() as http:
        path = f"/v1/routes/{route_id}"
        assert (await http.patch(path, json={"weight": 2})).json()["code"] == "direct_not_offered"
        assert (await http.patch(path, json={"enabled": False})).json()["enabled"] is False
        assert (await http.delete(path)).status_code == 204


@pytest.mark.parametrize("name", ["", "localhost", "mx1.sender.test\r\nMAIL", "-a.test", "127.0.0.1:25"], ids=ascii)
def test_a_start_without_a_name_for_ehlo_says_so(monkeypatch, service_env, delivery_db, name):
    service_env("delivery", delivery_db)
    monkeypatch.setenv("BARID_DIRECT_TO_MX", "true")
    monkeypatch.setenv("BARID_EHLO_NAME", name)
    with pytest.raises(Misconfigured, match="BARID_EHLO_NAME"):
        create_app(Settings())
