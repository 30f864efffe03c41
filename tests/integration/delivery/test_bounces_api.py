"""/v1/bounces over HTTP."""

import pytest
from delivery.main import create_app
from delivery.settings import Settings

MAIL = {"content-type": "message/rfc822"}
BOUNCE = b"""\
From: MAILER-DAEMON@mx.example.net
To: b+token@bounces.example.org
Subject: failure notice

<sara@example.com>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 unknown user

<ali@example.com>:
Remote host said: 552 5.2.2 mailbox full

--- Below this line is a copy of the message.
"""


@pytest.fixture
def client(delivery_db, workspace_id, service_env, keys, http_client):
    service_env("delivery", delivery_db)
    return lambda role="viewer": http_client(create_app(Settings()), keys.token(workspace_id, role))


async def test_each_recipient_is_judged_and_nothing_changes(client, delivery_db):
    async with client() as http:
        answer = await http.post("/v1/bounces/classify", content=BOUNCE, headers=MAIL)
    assert answer.status_code == 200
    assert answer.json() == [
        {"recipient": "sara@example.com", "kind": "hard", "status": "5.1.1", "reply": "550", "reason": "bad_mailbox"},
        {"recipient": "ali@example.com", "kind": "soft", "status": "5.2.2", "reply": "552", "reason": "mailbox_full"},
    ]
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from blocks") == 0
        assert await connection.fetchval("select count(*) from outbox") == 0


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"{}", b"From: sara@example.com\nSubject: Re: hello\n\nThank you"])
async def test_what_is_no_bounce_says_nothing(client, body):
    async with client() as http:
        answer = await http.post("/v1/bounces/classify", content=body, headers=MAIL)
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (BOUNCE, {"content-type": "application/json"}, 415, "unsupported_media_type"),
        (BOUNCE, {}, 415, "unsupported_media_type"),
        (b"x" * (50 * 1024 * 1024), MAIL, 413, "too_large"),
        (
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 10_000,
            MAIL,
            422,
            "bounce_too_many_parts",
        ),
    ],
    ids=["another type", "no type", "50 MB", "10,000 parts"],
)
async def test_bad_input_gets_a_problem_that_says_what_to_do(client, delivery_db, body, headers, status, code):
    async with client("owner") as http:
        for path in ("/v1/bounces/classify", "/v1/bounces"):
            answer = await http.post(path, content=body, headers=headers)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (status, code)
            assert problem["mend"]
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from returns") == 0


async def test_it_needs_a_token_with_the_scope(client, http_client, keys, workspace_id):
    async with http_client(create_app(Settings()), None) as http:
        assert (await http.post("/v1/bounces/classify", content=BOUNCE, headers=MAIL)).status_code == 401
