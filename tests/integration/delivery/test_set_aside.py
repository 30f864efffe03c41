"""Mails that were set aside: seen, judged again and thrown away by the workspace that they came to, and nobody else."""

import pytest
from common.ids import new_id
from delivery.domain.claims import Matcher
from delivery.main import create_app
from delivery.settings import Settings
from delivery.use_cases import intake, set_aside
from delivery.use_cases.intake import Intake

from tests.fixtures.returning import PATHS, blocked, dsn, known, mail, return_path, sent
from tests.fixtures.sending import KEYS, Campaign

MANY_PARTS = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 2_000


@pytest.fixture
async def row(delivery_db, workspace_id):
    await known(delivery_db, workspace_id)
    (found,) = await sent(delivery_db, Campaign(workspace_id, n=1))
    return found


@pytest.fixture
def come(delivery_db):
    """A mail comes in by LMTP."""
    taking = Intake(delivery_db.worker, Matcher(PATHS, KEYS))

    async def take(body, *recipients):
        await taking.take(body, recipients, "lmtp")

    return take


@pytest.fixture
async def api(delivery_db, workspace_id, service_env, keys, http_client):
    service_env("delivery", delivery_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id, "manager")) as http:
        yield http


async def listed(api, **params):
    answer = await api.get("/v1/bounces/set-aside", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def broken(monkeypatch):
    def read(*_):
        raise RecursionError("a bug")

    monkeypatch.setattr(intake, "read_returns", read)
    monkeypatch.setattr(set_aside, "read_returns", read)


async def test_a_mail_to_a_signed_address_is_its_workspaces_and_shows_what_it_is(api, come, row, monkeypatch):
    with monkeypatch.context() as patch:
        broken(patch)
        await come(dsn(row), return_path(row))
    (one,) = await listed(api)
    assert (one["why"], one["source"], one["recipients"]) == ("unreadable", "lmtp", [return_path(row)])
    assert one["size"] == len(dsn(row))
    assert one["author"] == "Mail Delivery System <MAILER-DAEMON@mx.example.com>"
    assert one["subject"] == "Undelivered Mail Returned to Sender"
    assert "Your message could not be delivered." in one["beginning"]
    raw = await api.get(f"/v1/bounces/set-aside/{one['id']}/mail")
    assert (raw.content, raw.headers["content-type"]) == (dsn(row), "message/rfc822")
    assert raw.headers["content-disposition"].startswith("attachment")


async def test_judged_again_it_counts_and_is_set_aside_no_more(api, come, row, delivery_db, monkeypatch):
    with monkeypatch.context() as patch:
        broken(patch)
        await come(dsn(row), return_path(row))
        (one,) = await listed(api)
        refused = await api.post(f"/v1/bounces/set-aside/{one['id']}/retry")
        assert (refused.status_code, refused.json()["code"]) == (422, "still_unreadable")
        assert await listed(api) == [one]
    answer = await api.post(f"/v1/bounces/set-aside/{one['id']}/retry")
    assert answer.status_code == 202, answer.text
    (taken,) = answer.json()["returns"]
    assert (taken["message_id"], taken["kind"], taken["counted"]) == (str(row["id"]), "hard", True)
    assert await blocked(delivery_db) == {row["address_hash"]: "bad_mailbox"}
    assert await listed(api) == []
    gone = await api.post(f"/v1/bounces/set-aside/{one['id']}/retry")
    assert (gone.status_code, gone.json()["code"]) == (404, "set_aside_not_found")


async def test_what_no_version_can_read_says_why_and_can_be_thrown_away(api, come, row):
    await come(MANY_PARTS, return_path(row))
    (one,) = await listed(api, why="bounce_too_many_parts")
    assert await listed(api, why="unreadable") == []
    refused = await api.post(f"/v1/bounces/set-aside/{one['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (422, "bounce_too_many_parts")
    assert (await api.delete(f"/v1/bounces/set-aside/{one['id']}")).status_code == 204
    assert (await api.delete(f"/v1/bounces/set-aside/{one['id']}")).status_code == 404
    assert await listed(api) == []


async def test_an_answer_that_could_not_be_sent_on_goes_its_way_again(api, delivery_db, workspace_id):
    id_ = new_id()
    async with delivery_db.worker.transaction() as tx:
        await set_aside.set_aside.keep(
            tx,
            id_,
            "forward",
            "not_forwarded",
            ["help@shop.test"],
            b"Subject: Re: Hi\r\n\r\nblue?",
            workspace_id=workspace_id,
        )
    assert [(one["why"], one["recipients"]) for one in await listed(api)] == [("not_forwarded", ["help@shop.test"])]
    answer = await api.post(f"/v1/bounces/set-aside/{id_}/retry")
    assert (answer.status_code, answer.json()) == (202, {"returns": []})
    assert await listed(api) == []
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select recipient from forwards where id = $1", id_) == "help@shop.test"


async def test_what_nobody_proves_to_be_a_workspaces_is_shown_to_none(api, come, row, delivery_db):
    """Anybody may write to the bounce address, and name whom he likes."""
    stranger = mail(f"From: a@spam.example\nTo: {return_path(row)}\nSubject: buy\n\nnow\n")
    await come(MANY_PARTS, "bounces@mail.shop.test")
    await come(stranger, "bounces+" + "a" * 53 + "@mail.shop.test")
    assert await listed(api) == []
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from set_aside where workspace_id is null") >= 1


async def test_another_workspace_sees_and_changes_nothing(come, row, delivery_db, service_env, keys, http_client, api):
    await come(MANY_PARTS, return_path(row))
    (one,) = await listed(api)
    async with http_client(create_app(Settings()), keys.token(new_id(), "owner")) as http:
        assert await listed(http) == []
        for method, path in (("GET", "/mail"), ("POST", "/retry"), ("DELETE", "")):
            assert (await http.request(method, f"/v1/bounces/set-aside/{one['id']}{path}")).status_code == 404
    assert await listed(api) == [one]


async def test_pages_go_from_the_newest_to_the_oldest_each_once(api, delivery_db, workspace_id):
    ids = [new_id() for _ in range(7)]
    async with delivery_db.worker.transaction() as tx:  # one transaction, one time: the ids decide
        for id_ in ids:
            await set_aside.set_aside.keep(tx, id_, "lmtp", "unreadable", [], b"x" * 100_000, workspace_id=workspace_id)
    seen, cursor = [], {}
    while True:
        answer = (await api.get("/v1/bounces/set-aside", params={"limit": 3, **cursor})).json()
        seen += [one["id"] for one in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert seen == [str(id_) for id_ in reversed(ids)]
