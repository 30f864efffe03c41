"""Workspaces, members, tokens, senders and purposes."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from campaigns.use_cases.bootstrap import bootstrap, owner_token
from campaigns.use_cases.republish import republish
from common.db.pool import Database
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from common.web.tokens import TokenVerifier

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.fixtures.http import HttpClient
from tests.integration.campaigns.scene import ACCESS, ADDRESS, application, draft, problem, workspace


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def hand_back(db: Database) -> None:
    """Give the access events that were told to the consumer, as the bus would."""
    told = await outbox_events(db, "access.revoked")
    await deliver(db, ACCESS, [Outgoing(event.workspace_id, event.data, id=event.id) for event in told])


async def member(client: httpx.AsyncClient, role: str, email: str = "m@example.org") -> dict[str, Any]:
    answer = await client.post("/v1/members", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def token(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/tokens", json={"name": "t", **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_bootstrap_twice_then_one_workspace_one_owner_two_tokens(
    campaigns_db: ServiceDatabase, keys: TestKeys
) -> None:
    first = await bootstrap(campaigns_db.api, keys.private, name="Local", owner_email="me@example.org")
    again = await bootstrap(campaigns_db.api, keys.private, name="Local", owner_email="me@example.org")
    assert (first.created, again.created) == (True, False)
    assert (first.workspace_id, first.member_id) == (again.workspace_id, again.member_id)
    caller = TokenVerifier(keys.public).verify(again.token)
    assert (caller.workspace_id, caller.subject_id, caller.role) == (first.workspace_id, first.member_id, "owner")
    [told] = await outbox_events(campaigns_db.worker, "workspace.changed")
    assert told.data.revision == 1
    assert [(one.id, one.key) for one in told.data.purposes] == [
        (purpose_id(first.workspace_id, "newsletter"), "newsletter")
    ]
    assert told.data.tracking_mode == "none"
    other = await owner_token(campaigns_db.api, keys.private, first.workspace_id)
    assert TokenVerifier(keys.public).verify(other).subject_id == first.member_id


async def test_workspace_patch_tells_it_whole_and_no_difference_tells_nothing(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    url = f"/v1/workspaces/{workspace_id}"
    tag = (await client.get(url)).headers["etag"]
    change = {
        "time_zone": "Asia/Tehran",
        "weekend": [5],
        "languages": ["fa", "ar", "en"],
        "tracking_mode": "individual",
    }
    answer = await client.patch(url, json=change, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    assert answer.json()["revision"] == 2
    problem(await client.patch(url, json={"name": "x"}, headers={"If-Match": tag}), 412, "stale")
    assert (await client.patch(url, json=change)).json()["revision"] == 2
    told = [event.data for event in await outbox_events(campaigns_db.worker, "workspace.changed")]
    assert [one.revision for one in told] == [1, 2]
    assert (told[1].weekend, told[1].languages, told[1].postal_address) == (
        [5],
        ["fa", "ar", "en"],
        ADDRESS,
    )
    assert (await client.get("/v1/workspaces")).json()["items"][0]["id"] == str(workspace_id)


@pytest.mark.parametrize(
    "change",
    [
        {"time_zone": "Mars/Olympus"},
        {"name": None},
        {"name": "a\r\nb"},
        {"weekend": [0]},
        {"languages": []},
        {"tracking_mode": "all"},
        {"postal_address": "a\x00b"},
        {"revision": 7},
    ],
)
async def test_workspace_patch_that_is_not_acceptable_then_422(
    client: httpx.AsyncClient, workspace_id: UUID, change: dict[str, Any]
) -> None:
    url = f"/v1/workspaces/{workspace_id}"
    before = (await client.get(url)).json()
    problem(await client.patch(url, json=change), 422, "invalid")
    assert (await client.get(url)).json() == before


async def test_new_workspace_is_another_world(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    mine = await draft(client)
    answer = await client.post("/v1/workspaces", json={"name": "Second", "postal_address": "Here"})
    assert answer.status_code == 201, answer.text
    other = answer.json()
    theirs = bearer(other["token"])
    assert (await client.get(f"/v1/workspaces/{other['id']}", headers=theirs)).json()["name"] == "Second"
    problem(await client.get(f"/v1/workspaces/{other['id']}"), 404, "workspace_not_found")
    problem(
        await client.patch(f"/v1/workspaces/{workspace_id}", json={"name": "x"}, headers=theirs),
        404,
        "workspace_not_found",
    )
    problem(await client.get(f"/v1/campaigns/{mine['id']}", headers=theirs), 404, "campaign_not_found")
    for resource in ("campaigns", "senders"):
        assert (await client.get(f"/v1/{resource}", headers=theirs)).json()["items"] == []
    [owner] = (await client.get("/v1/members", headers=theirs)).json()["items"]
    assert (owner["id"], owner["email"], owner["role"]) == (other["owner_id"], "owner@example.org", "owner")
    told = await outbox_events(campaigns_db.worker, "workspace.changed")
    assert str(told[-1].workspace_id) == other["id"]


async def test_revoked_token_is_refused_and_told(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, http_client: HttpClient, keys: TestKeys
) -> None:
    made = await token(client)
    assert made["token"] not in (await client.get("/v1/tokens")).text
    assert (await client.get("/v1/senders", headers=bearer(made["token"]))).status_code == 200
    assert (await client.delete(f"/v1/tokens/{made['id']}")).status_code == 204
    await hand_back(campaigns_db.worker)
    await revocations(client).reload()
    problem(await client.get("/v1/senders", headers=bearer(made["token"])), 401, "unauthorized")
    assert (await client.get("/v1/senders")).status_code == 200
    [row] = [row for row in (await client.get("/v1/tokens")).json()["items"] if row["id"] == made["id"]]
    assert row["revoked_at"] is not None
    problem(await client.delete(f"/v1/tokens/{new_id()}"), 404, "token_not_found")


def revocations(client: httpx.AsyncClient) -> Any:
    return client._transport.app.state.revocations  # type: ignore[attr-defined]


async def test_changed_role_and_removal_end_every_token_of_the_member(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase
) -> None:
    made = await member(client, "editor")
    whole = await token(client, member_id=made["id"])
    narrow = await token(client, member_id=made["id"], scopes=["campaigns:read"])
    assert (await client.get("/v1/campaigns", headers=bearer(narrow["token"]))).status_code == 200
    problem(await client.post("/v1/campaigns", json={"name": "x"}, headers=bearer(narrow["token"])), 403, "forbidden")
    assert (await client.patch(f"/v1/members/{made['id']}", json={"role": "viewer"})).json()["role"] == "viewer"
    await hand_back(campaigns_db.worker)
    await revocations(client).reload()
    for old in (whole, narrow):
        problem(await client.get("/v1/campaigns", headers=bearer(old["token"])), 401, "unauthorized")
    fresh = await token(client, member_id=made["id"])
    problem(await client.post("/v1/campaigns", json={"name": "x"}, headers=bearer(fresh["token"])), 403, "forbidden")
    assert (await client.get("/v1/campaigns", headers=bearer(fresh["token"]))).status_code == 200
    assert (await client.delete(f"/v1/members/{made['id']}")).status_code == 204
    await hand_back(campaigns_db.worker)
    await revocations(client).reload()
    problem(await client.get("/v1/campaigns", headers=bearer(fresh["token"])), 401, "unauthorized")
    problem(await client.get(f"/v1/members/{made['id']}"), 404, "member_not_found")
    again = await member(client, "editor")
    assert again["id"] != made["id"]


async def test_nobody_gives_rights_they_do_not_have(client: httpx.AsyncClient) -> None:
    made = await member(client, "viewer")
    found = await client.post("/v1/tokens", json={"name": "x", "member_id": made["id"], "scopes": ["campaigns:send"]})
    problem(found, 403, "beyond_own_rights")
    narrow = await token(client, scopes=["tokens:write", "members:write", "members:read"])
    weak = bearer(narrow["token"])
    owner_id = narrow["member_id"]
    problem(await client.post("/v1/tokens", json={"name": "x"}, headers=weak), 403, "beyond_own_rights")
    body = {"email": "n@example.org", "role": "owner"}
    problem(await client.post("/v1/members", json=body, headers=weak), 403, "beyond_own_rights")
    problem(
        await client.patch(f"/v1/members/{made['id']}", json={"role": "owner"}, headers=weak), 403, "beyond_own_rights"
    )
    problem(await client.delete(f"/v1/members/{owner_id}", headers=weak), 403, "beyond_own_rights")


async def test_last_owner_stays_and_addresses_are_taken_once(client: httpx.AsyncClient) -> None:
    [owner] = (await client.get("/v1/members")).json()["items"]
    problem(await client.delete(f"/v1/members/{owner['id']}"), 409, "last_owner")
    problem(await client.patch(f"/v1/members/{owner['id']}", json={"role": "viewer"}), 409, "last_owner")
    body = {"email": "owner@example.org", "role": "viewer"}
    problem(await client.post("/v1/members", json=body), 409, "member_exists")
    problem(await client.post("/v1/members", json={"email": "a b", "role": "viewer"}), 422, "invalid_address")
    second = await member(client, "owner")
    assert (await client.delete(f"/v1/members/{owner['id']}")).status_code == 204
    assert second["role"] == "owner"


async def test_public_keys_verify_what_was_signed(client: httpx.AsyncClient) -> None:
    for path in ("/.well-known/jwks.json", "/v1/tokens/jwks.json"):
        answer = await client.get(path, headers={"Authorization": ""})
        assert answer.status_code == 200
        assert TokenVerifier(answer.text).verify((await token(client))["token"]).role == "owner"
        assert '"d"' not in answer.text


async def test_process_without_signing_key_then_503(
    campaigns_db: ServiceDatabase, keys: TestKeys, workspace_id: UUID, http_client: HttpClient,
    service_env: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    made = await workspace(campaigns_db.worker, keys, workspace_id)
    app = application(service_env, campaigns_db, keys, BARID_TOKEN_SIGNING_KEY="")
    async with http_client(app, made.token) as client:
        problem(await client.post("/v1/tokens", json={"name": "x"}), 503, "signing_unavailable")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "Barid\r\nBcc: a@example.org", "email": "a@example.org"}, "invalid"),
        ({"name": "Barid", "email": "a@example.org\r\nBcc: b@example.org"}, "invalid_address"),
        ({"name": "Barid", "email": "a@example.org", "reply_to": "b@example.org\nX: y"}, "invalid_address"),
        ({"name": "Barid", "email": "Barid <a@example.org>"}, "invalid_address"),
        ({"name": "Barid", "email": "nobody"}, "invalid_address"),
        ({"name": "", "email": "a@example.org"}, "invalid"),
        ({"email": "a@example.org"}, "invalid"),
    ],
)
async def test_sender_that_cannot_stand_in_a_header_then_422(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, body: dict[str, Any], code: str
) -> None:
    problem(await client.post("/v1/senders", json=body), 422, code)
    assert (await client.get("/v1/senders")).json()["items"] == []
    assert await outbox_events(campaigns_db.worker, "sender.changed") == []
    sound = (await client.post("/v1/senders", json={"name": "ok", "email": "ok@example.org"})).json()
    assert (await client.patch(f"/v1/senders/{sound['id']}", json={"name": "x", **body})).status_code in (200, 422)
    assert "\n" not in (await client.get(f"/v1/senders/{sound['id']}")).json()["email"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Nora@Straße.DE", "Nora@straße.de"),
        ("a@xn--strae-oqa.de", "a@straße.de"),
        ("a@نامه\u200cای.com", "a@نامه\u200cای.com"),
        ("a@xn--mgba3gch31f060k.com", "a@نامه\u200cای.com"),
    ],
)
async def test_a_senders_domain_keeps_the_letters_that_make_it_its_own(
    client: httpx.AsyncClient, given: str, kept: str
) -> None:
    assert (await client.post("/v1/senders", json={"name": "x", "email": given})).json()["email"] == kept


async def test_a_joiner_that_joins_nothing_is_refused_in_a_senders_domain(client: httpx.AsyncClient) -> None:
    told = problem(
        await client.post("/v1/senders", json={"name": "x", "email": "a@ex\u200cample.com"}), 422, "invalid_address"
    )
    assert told["params"]["field"] == "email"


async def test_sender_is_told_whole_and_kept_while_a_campaign_waits_with_it(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase
) -> None:
    made = (await client.post("/v1/senders", json={"name": "برید", "email": "خبر@example.org"})).json()
    url = f"/v1/senders/{made['id']}"
    changed = await client.patch(url, json={"reply_to": "help@example.org"}, headers={"If-Match": '"r1"'})
    assert changed.json()["revision"] == 2
    problem(await client.patch(url, json={"name": "x"}, headers={"If-Match": '"r1"'}), 412, "stale")
    assert (await client.delete(url)).status_code == 204
    problem(await client.get(url), 404, "sender_not_found")
    told = [event.data for event in await outbox_events(campaigns_db.worker, "sender.changed")]
    assert [(one.revision, one.reply_to, one.deleted) for one in told] == [
        (1, None, False), (2, "help@example.org", False), (3, "help@example.org", True),
    ]  # fmt: skip


async def test_purpose_gets_a_version_per_wording_and_travels_with_its_workspace(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    answer = await client.post("/v1/purposes", json={"key": "offers", "wording": {"en": "Offers", "fa": "پیشنهادها"}})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"] == str(purpose_id(workspace_id, "offers"))
    problem(await client.post("/v1/purposes", json={"key": "offers"}), 409, "purpose_exists")
    problem(await client.post("/v1/purposes", json={"key": "Two Words"}), 422, "invalid")
    url = f"/v1/purposes/{made['id']}"
    changed = (await client.patch(url, json={"wording": {"ar": "عروض", "en": None}})).json()
    assert (changed["version"], changed["wording"]) == (2, {"fa": "پیشنهادها", "ar": "عروض"})
    assert (await client.patch(url, json={"wording": {"ar": "عروض"}})).json()["version"] == 2
    told = [event.data for event in await outbox_events(campaigns_db.worker, "workspace.changed")]
    assert [one.revision for one in told] == [1, 2, 3]
    assert [(one.key, one.version) for one in told[-1].purposes] == [("newsletter", 1), ("offers", 2)]
    problem(await client.patch(f"/v1/purposes/{new_id()}", json={}), 404, "purpose_not_found")
    campaign = await client.post("/v1/campaigns", json={"name": "x", "purpose": "offers"})
    assert campaign.json()["purpose_id"] == made["id"]


async def test_republish_tells_everything_again_at_its_present_revision(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    made = (await client.post("/v1/senders", json={"name": "ok", "email": "ok@example.org"})).json()
    await client.patch(f"/v1/senders/{made['id']}", json={"name": "better"})
    async with campaigns_db.worker.transaction() as tx:
        await tx.execute("delete from outbox")
    assert await republish(campaigns_db.worker) == 2
    told = [event.data for event in await outbox_events(campaigns_db.worker)]
    assert [(type(one).__name__, one.revision) for one in told] == [("WorkspaceChangedV1", 1), ("SenderChangedV1", 2)]
    assert [one.key for one in told[0].purposes] == ["newsletter"]
    assert told[1].name == "better"
