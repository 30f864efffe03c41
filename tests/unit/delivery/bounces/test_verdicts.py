"""What servers say in answer to RCPT, as a report quotes it, and what it means."""

import pytest
from delivery.domain.bounces.verdicts import Evidence, judge

from tests.unit.delivery.worldly import NOBODY, UNWANTED

REPLIES = {
    ("hard", "bad_mailbox"): [
        "550 5.1.1 <ali@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
        "550 5.1.1 <ali@example.com>... User unknown",
        "550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        "550 5.5.0 Requested action not taken: mailbox unavailable",
        "554 delivery error: dd This user doesn't have a yahoo.com account (ali@yahoo.com) [0]",
        "550 sorry, no mailbox here by that name (#5.1.1 - chkusr)",
        "550 5.1.1 User Unknown",
        "550 No such user here",
        "553 5.3.0 <ali@example.com>... Addressee unknown, relay=[192.0.2.9]",
        "550 #5.1.0 Address rejected.",
        "550 5.1.1 unknown or illegal alias: ali@example.com",
        "550 Invalid recipient <ali@example.com> (#5.1.1)",
        "550 unknown user",
        "550 5.1.1 Mailbox does not exist!",
        "550 Benutzer ist hier nicht bekannt",
        "550 El usuario no existe",
        "550 Пользователь не найден",
        "550 5.2.1 <ali@example.com>... User Unknown",
        "550 Unrouteable address",
    ],
    ("hard", "bad_domain"): [
        "550 5.1.2 Bad destination system address",
        "556 5.1.10 Recipient address has null MX",
        "521 5.3.2 System not accepting network messages",
        "550 Host unknown",
        "550 5.4.4 Unable to route: no mail hosts for domain",
    ],
    ("hard", "moved"): ["551 5.1.6 User has moved to another server"],
    ("soft", "mailbox_full"): [
        "552 5.2.2 The email account that you tried to reach is over quota",
        "550 5.2.2 <ali@example.com>... Mailbox Full",
        "554 delivery error: dd Sorry, your message cannot be delivered. This mailbox is over quota",
        "552 Requested mail action aborted: exceeded storage allocation",
        "550 5.7.1 User mailbox exceeds allowed size",
        "422 The recipient's mailbox is full",
        "552 disk quota exceeded, user unknown to have any space left",
    ],
    ("soft", "inactive"): [
        "550 5.2.1 The email account that you tried to reach is disabled",
        "554 delivery error: dd This account has been temporarily suspended",
        "550 5.1.1 user unknown: account disabled",
        "550 Mailbox is inactive",
        "550 5.1.1 Amazon SES has suppressed sending to this invalid address",
    ],
    ("soft", "policy"): [
        "550 5.7.1 Our system has detected that this message is likely unsolicited mail",
        "550-5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy",
        "550 5.7.515 Access denied, sending domain example.com does not meet the required authentication level",
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
        "554 5.7.9 Message not accepted for policy reasons",
        "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list",
        "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
        "550 5.1.1 Recipient address rejected: Access denied",
        "550 5.7.1 Fix reverse DNS for 192.0.2.1",
        "550 5.7.1 550 User Unknown: ali@example.com",
        "554 5.1.8 <news@example.com>: Sender address rejected: Domain not found",
        "553 5.1.8 Domain of sender address news@example.com does not exist",
        "550 Your message was rejected as spam; unknown user reputation",
        "550 Recipient refuses mail from you: user not found in whitelist",
        "571 Email from 192.0.2.1 is currently blocked by Verizon Online's anti-spam system",
    ],
    ("soft", "rate"): [
        "421 4.7.28 Our system has detected an unusual rate of unsolicited mail",
        "451 4.7.1 Greylisting in action, please come back later",
        "452 4.5.3 Too many recipients",
        "454 4.7.0 Throttling failure: Maximum sending rate exceeded",
        "550 5.4.5 Daily sending quota exceeded",
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
    ],
    ("soft", "content"): [
        "552 5.3.4 Message size exceeds fixed maximum message size",
        "554 5.6.0 Message content rejected",
        "552-5.7.0 This message was blocked because its content presents a potential security issue",
        "550 Virus found in message",
        "550 5.2.3 Message too large for this user",
        "554 5.6.1 Eight bit data not allowed",
    ],
    ("soft", "relay"): ["554 5.7.1 <ali@example.com>: Relay access denied", "550 we do not relay for you"],
    ("soft", "network"): [
        "554 5.4.6 Too many hops",
        "554 5.4.7 delivery expired (message too old)",
        "450 4.4.1 Connection timed out",
        "451 4.4.3 Temporary server error. Please try again later",
        "554 5.4.14 Hop count exceeded, possible mail loop",
    ],
    ("soft", "bad_mailbox"): ["450 4.1.1 <ali@example.com>: Recipient address rejected: User unknown in local table"],
    ("soft", "other"): ["554 Transaction failed", "550 5.0.0 no"],
}
CASES = [(kind, reason, words) for (kind, reason), replies in REPLIES.items() for words in replies]


def test_there_are_enough():
    assert len(CASES) >= 60


@pytest.mark.parametrize(("kind", "reason", "words"), CASES)
def test_a_reply_to_rcpt(kind, reason, words):
    around = f"<ali@example.com>: host mx.example.com said: {words} (in reply to RCPT TO command)"
    verdict = judge(Evidence(action="failed", status=f"{words[0]}.0.0", words=words, around=around))
    assert (verdict.kind, verdict.reason) == (kind, reason)
    assert verdict.reply == words[:3]


@pytest.mark.parametrize(
    "command", ["in reply to end of DATA command", "in reply to MAIL FROM command", "after initial connection"]
)
@pytest.mark.parametrize(
    "words", ["550 user unknown", "550 No such user here", "550 Requested action not taken: mailbox unavailable"]
)
def test_unknown_users_are_believed_only_in_answer_to_rcpt(words, command):
    around = f"<ali@example.com>: host mx.example.com said: {words} ({command})"
    assert judge(Evidence(action="failed", status="5.0.0", words=words, around=around)).kind == "soft"


@pytest.mark.parametrize("words", [one for some in UNWANTED.values() for one in some])
def test_words_against_the_sender_outweigh_the_code_of_a_dead_mailbox_in_any_language(words):
    verdict = judge(Evidence(action="failed", status="5.1.1", words=f"550 5.1.1 {words}"))
    assert (verdict.kind, verdict.reason) == ("soft", "policy")


@pytest.mark.parametrize("words", [one for some in NOBODY.values() for one in some])
def test_a_dead_mailbox_stays_one_in_any_language(words):
    verdict = judge(Evidence(action="failed", status="5.1.1", words=f"550 5.1.1 {words}"))
    assert (verdict.kind, verdict.reason) == ("hard", "bad_mailbox")


@pytest.mark.parametrize(
    "words",
    [
        "550-5.1.1 verification failed for sender",
        "550 5.1.1 Verification has failed for the sender",
        "550 5.1.1 Address verification failed for mail from",
    ],
)
def test_a_server_that_does_not_find_the_sender_says_nothing_of_the_recipient(words):
    assert judge(Evidence(action="failed", status="5.1.1", words=words)).reason == "policy"


def test_a_server_that_does_not_find_the_recipient_does():
    words = "550 5.1.1 Recipient verification failed for <ali@example.com>: user unknown"
    assert judge(Evidence(action="failed", status="5.1.1", words=words)).kind == "hard"


def test_a_word_without_a_second_witness_is_soft():
    verdict = judge(Evidence(action="failed", status="5.0.0", words="550 user unknown"))
    assert (verdict.kind, verdict.reason) == ("soft", "refused")


def test_the_code_of_a_report_is_the_second_witness():
    assert judge(Evidence(action="failed", status="5.1.1", words="550 user unknown")).kind == "hard"
    assert judge(Evidence(action="failed", status="5.1.1")).kind == "hard"
    assert judge(Evidence(action="failed", status="5.1.0")).kind == "soft"


def test_a_delay_is_never_hard():
    verdict = judge(Evidence(action="delayed", status="5.1.1", words="550 5.1.1 user unknown"))
    assert verdict.kind == "soft"


def test_what_is_said_of_all_counts_for_each():
    said = "<ali@example.com>: 550 user unknown (in reply to RCPT TO command)"
    assert judge(Evidence(around=said)).kind == "hard"
    verdict = judge(Evidence(around=said, ahead="The user(s) account is disabled."))
    assert (verdict.kind, verdict.reason) == ("soft", "inactive")


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_success_is_told_as_delivered(action):
    verdict = judge(Evidence(action=action, status="2.1.5", words="250 2.1.5 Ok"))
    assert (verdict.kind, verdict.reason, verdict.status, verdict.reply) == ("delivered", "delivered", "2.1.5", "250")


@pytest.mark.parametrize("words", ["250 ok until 550 came", "see https://example.com/550/5.1.1?user=unknown"])
def test_links_and_success_say_nothing_of_the_address(words):
    assert judge(Evidence(action="failed", words=words)).kind == "soft"
