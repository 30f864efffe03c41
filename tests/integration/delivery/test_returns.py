"""What comes back changes what it should, once, and nothing else."""

import pytest
from common.contracts.email import EmailBouncedV1, EmailRepliedV1, EmailSentV1
from common.ids import new_id
from delivery.domain.claims import Matcher
from delivery.domain.returns import read_returns
from delivery.main import create_app
from delivery.settings import Settings
from delivery.use_cases.returns import take_returns

from tests.fixtures.returning import COMPLAINT, PATHS, blocked, dsn, mail, return_path, sent, told
from tests.fixtures.sending import KEYS, Campaign

MAIL = {"content-type": "message/rfc822"}


@pytest.fixture
def post(delivery_db, workspace_id, service_env, keys, http_client):
    """Post a mail to /v1/bounces; what the answer says of its only return."""
    service_env("delivery", delivery_db)

    async def send(body, *, workspace=workspace_id):
        async with http_client(create_app(Settings()), keys.token(workspace, "owner")) as http:
            answer = await http.post("/v1/bounces", content=body, headers=MAIL)
        assert answer.status_code == 202, answer.text
        (one,) = answer.json()["returns"]
        return one

    return send


@pytest.fixture
async def three(delivery_db, workspace_id):
    return await sent(delivery_db, Campaign(workspace_id, n=3))


async def test_a_signed_bounce_of_a_bad_mailbox_blocks_at_once_and_is_told(post, delivery_db, three):
    answer = await post(dsn(three[0]))
    assert (answer["message_id"], answer["kind"], answer["reason"], answer["counted"], answer["repeated"]) == (
        str(three[0]["id"]), "hard", "bad_mailbox", True, False,
    )  # fmt: skip
    assert await blocked(delivery_db) == {three[0]["address_hash"]: "bad_mailbox"}
    (event,) = await told(delivery_db, EmailBouncedV1)
    assert (event.message_id, event.contact_id, event.campaign_id) == (
        three[0]["id"], three[0]["contact_id"], three[0]["mailing_id"],
    )  # fmt: skip
    assert (event.bounce, event.smtp.code, event.smtp.enhanced) == ("hard", 550, "5.1.1")
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select own_id from blocks") == event.block_id
        assert await connection.fetchval("select status from messages where id = $1", three[0]["id"]) == "sent"
        assert await connection.fetchval("select block_id from returns") == event.block_id


async def test_the_address_of_a_bounce_may_come_back_in_capitals(post, delivery_db, three):
    await post(dsn(three[0], to=return_path(three[0]).upper()))
    assert await blocked(delivery_db)


async def test_the_same_bounce_again_changes_nothing(post, delivery_db, three):
    await post(dsn(three[0]))
    again = await post(b"Received: from elsewhere\r\n" + dsn(three[0]))
    assert again["repeated"]
    assert len(await told(delivery_db, EmailBouncedV1)) == 1
    await post(dsn(three[0], extra="another report of the same"))
    assert len(await told(delivery_db, EmailBouncedV1)) == 1
    assert len(await blocked(delivery_db)) == 1


@pytest.mark.parametrize("change", ["another letter", "cut off", "another key", "another workspace's message"])
async def test_a_forged_address_blocks_nobody(post, delivery_db, three, change):
    from delivery.domain.return_path import ReturnPaths

    row, right = three[0], return_path(three[0])
    another_key = ReturnPaths({"k1": b"x" * 32}, "b@shop.test")
    forged = {
        "another letter": right[:20] + ("a" if right[20] != "a" else "b") + right[21:],
        "cut off": right.replace("@", "")[:-20] + "@mail.shop.test",
        "another key": another_key.bounces_to(row["workspace_id"], row["id"]),
        "another workspace's message": return_path({**row, "workspace_id": new_id()}),
    }[change]
    answer = await post(dsn(three[0], to=forged, recipient="somebody@else.example", message_id=new_id()))
    assert not answer["counted"]
    assert await blocked(delivery_db) == {}
    assert await told(delivery_db, EmailBouncedV1) == []


async def test_a_bounce_for_another_workspace_is_not_taken_by_this_one(post, delivery_db, three):
    answer = await post(dsn(three[0]), workspace=new_id())
    assert (answer["message_id"], answer["counted"]) == (None, False)
    assert await blocked(delivery_db) == {}
    assert (await post(dsn(three[0])))["counted"], "and its own workspace can still take it"


async def test_by_message_id_it_counts_only_where_the_ledger_agrees(post, delivery_db, three):
    stranger = await post(dsn(three[0], to="bounces@shop.test", recipient="other@example.com"))
    assert (stranger["message_id"], stranger["counted"]) == (str(three[0]["id"]), False)
    assert await blocked(delivery_db) == {}
    agreed = await post(dsn(three[0], to="bounces@shop.test", extra="2", recipient="USER0@example.com"))
    assert (agreed["kind"], agreed["reason"], agreed["counted"]) == ("soft", "unproven", True)


async def test_by_message_id_and_recipient_which_every_answer_to_all_shows_nobody_is_blocked(
    post, delivery_db, workspace_id
):
    campaigns = [Campaign(workspace_id) for _ in range(3)]
    one = campaigns[0].person("ann@example.com")
    for campaign in campaigns:
        campaign.recipients = [one]
        (row,) = await sent(delivery_db, campaign)
        for n, words in enumerate(({}, FULL, NO_DOMAIN)):
            assert (await post(dsn(row, to="b@shop.test", extra=str(n), **words)))["counted"]
        forged = COMPLAINT.replace("Feedback-Type: abuse", f"Feedback-Type: abuse\nOriginal-Rcpt-To: {row['email']}")
        headers = f"Message-ID: <{row['id']}@shop.test>"
        assert not (await post(mail(forged.format(to="fbl@shop.test", headers=headers))))["counted"]
    assert await blocked(delivery_db) == {}
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from strikes") == 0
    assert {one.bounce for one in await told(delivery_db, EmailBouncedV1)} == {"soft"}
    await post(dsn(row, extra="the server's own"))
    assert await blocked(delivery_db) == {row["address_hash"]: "bad_mailbox"}


async def test_a_bounce_that_came_without_its_proof_blocks_when_it_comes_with_it(
    post, delivery_db, three, workspace_id
):
    bounce = dsn(three[0], to="undisclosed@recipients.example")
    assert (await post(bounce))["reason"] == "unproven"
    assert await blocked(delivery_db) == {}
    (found,) = read_returns(bounce, [return_path(three[0])], Matcher(PATHS, KEYS), "lmtp")
    for new in (True, False):
        (taken,) = await take_returns(delivery_db.worker, [found], workspace_id)
        assert (taken.decision.kind, taken.new) == ("hard", new)
    assert await blocked(delivery_db) == {three[0]["address_hash"]: "bad_mailbox"}
    assert (await post(bounce))["repeated"]
    assert [one.bounce for one in await told(delivery_db, EmailBouncedV1)] == ["soft", "hard"]


async def test_a_dead_mailbox_that_mail_is_forwarded_to_blocks_nobody(post, delivery_db, three):
    answer = await post(dsn(three[0], recipient="old@elsewhere.example"))
    assert (answer["kind"], answer["reason"], answer["counted"]) == ("soft", "forwarded", True)
    assert await blocked(delivery_db) == {}
    named = dsn(three[0], recipient="old@elsewhere.example", extra="2").replace(
        b"Action:", b"Original-Recipient: rfc822; user0@example.com\r\nAction:"
    )
    assert (await post(named))["kind"] == "hard"
    assert await blocked(delivery_db) == {three[0]["address_hash"]: "bad_mailbox"}


async def test_a_copy_that_proves_nothing_does_not_stand_in_the_way_of_the_bounce_itself(
    post, delivery_db, three, workspace_id
):
    bounce = dsn(three[0], to="undisclosed@recipients.example", recipient="alias@example.com")
    assert not (await post(bounce))["counted"]
    assert await blocked(delivery_db) == {}
    (found,) = read_returns(bounce, [return_path(three[0])], Matcher(PATHS, KEYS), "lmtp")
    for new in (True, False):
        (taken,) = await take_returns(delivery_db.worker, [found], workspace_id)
        assert (taken.decision.counts, taken.new) == (True, new)
    assert await blocked(delivery_db) == {three[0]["address_hash"]: "bad_mailbox"}
    assert (await post(bounce))["repeated"]
    assert len(await told(delivery_db, EmailBouncedV1)) == 1


@pytest.mark.parametrize(
    "change", ["status = 'pending', attempt = 0", "sent_at = now() - interval '16 days'"], ids=["not sent", "too late"]
)
async def test_a_bounce_of_what_was_not_sent_lately_blocks_nobody(post, delivery_db, three, change):
    async with delivery_db.worker.connection() as connection:
        await connection.execute(f"update messages set {change} where id = $1", three[0]["id"])
    assert not (await post(dsn(three[0])))["counted"]
    assert not (await post(dsn(three[0], to="b@shop.test", extra="by Message-ID")))["counted"]
    assert await blocked(delivery_db) == {}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.7.1", "550 5.7.1 message refused by policy"),
        ("5.7.26", "550 5.7.26 unauthenticated email is not accepted"),
        ("4.7.0", "421 4.7.0 too many messages, slow down"),
        ("5.3.4", "552 5.3.4 message too big"),
        ("4.2.2", "452 4.2.2 mailbox full"),
    ],
)
async def test_policy_rate_content_and_a_full_mailbox_block_nobody(post, delivery_db, three, status, words):
    answer = await post(dsn(three[0], status=status, words=words))
    assert (answer["kind"], answer["counted"]) == ("soft", True)
    assert await blocked(delivery_db) == {}
    (event,) = await told(delivery_db, EmailBouncedV1)
    assert (event.bounce, event.block_id) == ("soft", None)


async def test_a_report_of_delay_decides_nothing(post, delivery_db, three):
    await post(dsn(three[0], action="delayed", status="4.4.1", words="connection timed out"))
    assert await told(delivery_db, EmailBouncedV1) == []
    await post(dsn(three[0]))
    assert len(await told(delivery_db, EmailBouncedV1)) == 1


async def test_a_bounce_says_that_an_uncertain_message_was_sent(post, delivery_db, workspace_id):
    (row,) = await sent(delivery_db, Campaign(workspace_id, n=1), status="uncertain")
    assert (await post(dsn(row, status="5.2.2", words="552 5.2.2 mailbox full")))["counted"]
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select status from messages where id = $1", row["id"]) == "sent"
    (event,) = await told(delivery_db, EmailSentV1)
    assert (event.message_id, event.revision) == (row["id"], row["revision"] + 1)


FULL = {"status": "5.2.2", "words": "552 5.2.2 mailbox full"}
NO_DOMAIN = {"status": "5.1.2", "words": "550 5.1.2 host unknown: domain does not exist"}


async def test_an_unknown_domain_blocks_at_the_second_mail_within_a_day(post, delivery_db, workspace_id):
    first, second, third = [Campaign(workspace_id), Campaign(workspace_id), Campaign(workspace_id)]
    one = first.person("a@gone.example")
    for campaign in (first, second, third):
        campaign.recipients = [one]
    (row,) = await sent(delivery_db, first)
    assert (await post(dsn(row, **NO_DOMAIN)))["reason"] == "bad_domain"
    await post(dsn(row, **NO_DOMAIN, extra="the same mail's second report"))
    assert await blocked(delivery_db) == {}
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update strikes set at = at - interval '25 hours'")
    (row,) = await sent(delivery_db, second)
    await post(dsn(row, **NO_DOMAIN))
    assert await blocked(delivery_db) == {}, "the first was more than a day ago"
    (row,) = await sent(delivery_db, third)
    await post(dsn(row, **NO_DOMAIN))
    assert await blocked(delivery_db) == {row["address_hash"]: "bad_domain"}


async def test_a_full_mailbox_blocks_at_the_third_campaign_in_thirty_days(post, delivery_db, workspace_id):
    campaigns = [Campaign(workspace_id) for _ in range(4)]
    one = campaigns[0].person("full@example.com")
    for n, campaign in enumerate(campaigns):
        campaign.recipients = [one]
        (row,) = await sent(delivery_db, campaign)
        await post(dsn(row, **FULL))
        if n == 0:
            async with delivery_db.worker.connection() as connection:
                await connection.execute("update strikes set at = at - interval '31 days'")
        assert bool(await blocked(delivery_db)) is (n == 3)
    assert list((await blocked(delivery_db)).values()) == ["mailbox_full"]


async def test_a_report_on_our_signatures_is_no_bounce(post, delivery_db, three):
    text = COMPLAINT.replace("Feedback-Type: abuse", "Feedback-Type: auth-failure")
    headers = f"Message-ID: <{three[0]['id']}@shop.test>"
    answer = await post(mail(text.format(to=return_path(three[0]), headers=headers)))
    assert (answer["kind"], answer["reason"], answer["counted"]) == ("soft", "auth_failure", True)
    assert await told(delivery_db, EmailBouncedV1) == []
    assert await blocked(delivery_db) == {}


async def test_an_out_of_office_blocks_nobody_and_is_no_reply(post, delivery_db, three):
    answer = await post(
        mail(
            f"""\
            From: user0@example.com
            To: {return_path(three[0])}
            Subject: Out of office: user unknown until Monday, mailbox full
            Auto-Submitted: auto-replied
            In-Reply-To: <{three[0]["id"]}@shop.test>

            550 5.1.1 is what I would say if I were a server.
            """
        )
    )
    assert (answer["kind"], answer["counted"]) == ("auto-reply", True)
    assert await blocked(delivery_db) == {}
    assert await told(delivery_db, EmailRepliedV1) == []


async def test_a_persons_answer_is_a_reply(post, delivery_db, three):
    text = """\
        From: {author}
        To: news@shop.test
        Subject: Re: Hi
        Message-ID: <{author}>
        In-Reply-To: <{id}@shop.test>

        Do you have it in blue?
        """
    answer = await post(mail(text.format(author="Ann <user0@example.com>", id=three[0]["id"])))
    assert (answer["kind"], answer["counted"]) == ("reply", True)
    (event,) = await told(delivery_db, EmailRepliedV1)
    assert event.message_id == three[0]["id"]
    stranger = await post(mail(text.format(author="Eve <eve@example.net>", id=three[1]["id"])))
    assert not stranger["counted"]
    assert len(await told(delivery_db, EmailRepliedV1)) == 1


async def test_a_mailbox_that_stays_full_in_the_dialogue_counts_like_one_that_bounces(delivery_db, workspace_id):
    from common.contracts.email import EmailExpiredV1
    from delivery.use_cases.upkeep import sweep

    campaigns = [Campaign(workspace_id) for _ in range(3)]
    one = campaigns[0].person("full@example.com")
    for n, campaign in enumerate(campaigns):
        campaign.recipients = [one]
        (row,) = await sent(delivery_db, campaign, status="deferred")
        async with delivery_db.worker.connection() as connection:
            await connection.execute(
                "update messages set first_4xx_at = now() - interval '73 hours', smtp_code = 452, smtp_text = $2"
                " where id = $1",
                row["id"],
                "4.2.2 mailbox full" if n else "the mailbox is over its quota",
            )
        await sweep(delivery_db.worker)
    assert await blocked(delivery_db) == {row["address_hash"]: "mailbox_full"}
    expired = await told(delivery_db, EmailExpiredV1)
    assert [bool(one.block_id) for one in expired] == [False, False, True]


async def test_what_came_back_is_listed(post, delivery_db, three, workspace_id, http_client, keys):
    for row in three[:2]:
        await post(dsn(row))
    await post(dsn(three[2], status="4.4.1", action="delayed", words="timed out"))
    async with http_client(create_app(Settings()), keys.token(workspace_id, "viewer")) as http:
        seen: list[dict] = []
        cursor = None
        while True:
            answer = (
                await http.get("/v1/bounces", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            ).json()
            seen += answer["items"]
            if (cursor := answer["next_cursor"]) is None:
                break
        assert [one["message_id"] for one in seen] == [str(row["id"]) for row in reversed(three)]
        assert [(one["kind"], one["delayed"], bool(one["block_id"])) for one in seen] == [
            ("soft", True, False), ("hard", False, True), ("hard", False, True),
        ]  # fmt: skip
        by_kind = await http.get("/v1/bounces", params={"kind": "hard", "campaign_id": str(three[0]["mailing_id"])})
        assert len(by_kind.json()["items"]) == 2
        by_message = await http.get("/v1/bounces", params={"message_id": str(three[0]["id"])})
        assert [one["source"] for one in by_message.json()["items"]] == ["api"]
    async with http_client(create_app(Settings()), keys.token(new_id(), "owner")) as http:
        assert (await http.get("/v1/bounces")).json()["items"] == []
