"""What replies mean: real ones, by class."""

from datetime import timedelta
from random import Random

import pytest
from delivery.domain.smtp_replies import (
    BACKOFF_MOST,
    backoff,
    classify,
    enhanced_code,
    without_addresses,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.delivery.worldly import NOBODY, UNWANTED

PERMANENT = {
    "bad_mailbox": [
        (550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking"),
        (550, "5.1.1 <a@example.com>: Recipient address rejected: User unknown in virtual mailbox table"),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"),
        (550, "5.4.1 <a@example.com>: Recipient address rejected: Access denied"),
        (550, "No such user here"),
        (550, "Requested action not taken: mailbox unavailable"),
        (550, "5.1.0 Address rejected."),
        (550, "5.1.6 recipient no longer on server"),
        (550, "Unknown user"),
        (550, "user does not exist"),
        (550, "Invalid recipient"),
        (551, "User not local; please try elsewhere: user unknown"),
        (553, "5.1.3 The recipient address is not a valid RFC-5321 address"),
        (554, "delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com): no such user"),
        (550, "5.1.1 mailbox for a@example.org does not exist"),
        (550, "There is no such mailbox: no mailbox here by that name"),
        (554, "Recipient address rejected: User unknown"),
        (550, "Not a valid recipient"),
    ],
    "bad_domain": [
        (550, "5.1.2 Bad destination system address"),
        (550, "5.4.4 Unable to route: no mail hosts for domain"),
        (556, "This host takes no mail"),
        (550, "Domain not found"),
        (550, "Host unknown"),
        (550, "the domain does not accept mail (null MX)"),
    ],
    "mailbox_full": [
        (552, "5.2.2 The email account that you tried to reach is over quota."),
        (552, "4.2.2 looks temporary but the code is not: mailbox full"),
        (550, "5.2.2 user is over quota"),
        (550, "5.2.1 The email account that you tried to reach is disabled."),
        (550, "Account a@example.com is disabled"),
        (552, "Requested mail action aborted: mailbox is full"),
        (554, "mailbox quota exceeded"),
        (552, "insufficient storage"),
    ],
    "policy": [
        (550, "5.7.1 Our system has detected that this message is likely unsolicited mail"),
        (550, "5.7.26 This mail has been blocked because the sender is unauthenticated"),
        (550, "5.7.515 Access denied, sending domain example.com does not meet the required authentication level"),
        (550, "5.7.23 The message was rejected because of Sender Policy Framework violation"),
        (554, "5.7.9 Message not accepted for policy reasons"),
        (550, "5.7.25 PTR record"),
        (554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
        (550, "SC-001 Mail rejected by Outlook.com for policy reasons"),
        (550, "Message rejected due to SPF failure"),
        (554, "Your IP is on our blacklist"),
        (550, "DKIM signature did not verify"),
        (554, "Email rejected per DMARC policy"),
        (550, "High probability of spam"),
        (550, "5.7.0 Local policy violation"),
        (550, "5.1.8 Sender address rejected: Domain not found"),
        (554, "Sending host has poor reputation"),
    ],
    "content": [
        (552, "5.3.4 Message size exceeds fixed limit"),
        (554, "5.6.0 Message content rejected"),
        (550, "5.6.1 Media not supported"),
        (552, "Message exceeds size limit: too large"),
        (550, "Virus found in message"),
        (554, "5.6.2 Conversion required and prohibited"),
        (552, "attachment type is not allowed here"),
    ],
    "unsupported_address": [
        (550, "5.6.7 Non-ASCII addresses not permitted for that sender/recipient"),
        (553, "5.6.7 SMTPUTF8 required"),
        (553, "5.6.9 UTF-8 string reply is required"),
    ],
    "other": [(550, "Administrative prohibition 12"), (554, "Transaction failed"), (550, "5.0.0 unspecified")],
}
TEMPORARY = [
    (421, "4.7.0 Try again later, closing connection", True),
    (450, "4.2.0 greylisted, try again in 5 minutes", False),
    (451, "4.3.0 temporary lookup failure", False),
    (451, "4.7.1 greylisting in action", True),
    (452, "4.2.2 mailbox full", False),
    (454, "4.7.0 Throttling failure: Maximum sending rate exceeded.", True),
    (421, "4.7.28 unusual rate of unsolicited mail", True),
    (454, "Throttling failure: Maximum sending rate exceeded.", True),
    (454, "Throttling failure: Daily message quota exceeded.", True),
    (451, "4.3.2 Too many connections, slow down", True),
    (450, "rate limited", True),
    (450, "4.2.1 The user you are trying to contact is receiving mail too fast", False),
    (452, "4.5.3 Too many recipients", False),
    (452, "the mailbox is over its limit", False),
    (450, "greylisted", False),
    (450, "mailbox busy", False),
    (451, "5.1.1 a code that contradicts itself stays temporary", False),
]


@pytest.mark.parametrize(
    ("klass", "code", "text"), [(klass, *reply) for klass, replies in PERMANENT.items() for reply in replies]
)
def test_permanent(klass, code, text):
    verdict = classify(code, text, "rcpt")
    assert (verdict.temporary, verdict.klass) == (False, klass)


CONTRADICTORY = [
    (550, "5.1.1 Service refused, your IP is listed at zen.spamhaus.org", "rcpt", "policy"),
    (550, "5.1.0 Message rejected: sender reputation too low", "rcpt", "policy"),
    (554, "5.1.1 Blocked by policy", "rcpt", "policy"),
    (550, "5.1.2 Sender domain has no SPF record", "rcpt", "policy"),
    (550, "5.1.1 greylisted, try again later", "rcpt", "other"),
    (550, "5.1.0 rejected", "rcpt", "other"),
    (550, "Requested action not taken: mailbox unavailable", "body", "other"),
    (550, "No such user", "body", "other"),
    (550, "5.1.1", "body", "other"),
    (550, "5.1.2 bad destination system address", "body", "other"),
    (550, "5.1.1 No such user", "body", "bad_mailbox"),
]


@pytest.mark.parametrize(("code", "text", "phase", "klass"), CONTRADICTORY)
def test_nobody_is_blocked_on_the_word_of_a_code_alone_or_of_a_filter_behind_the_body(code, text, phase, klass):
    """Servers say 5.1.1 for whatever they refuse; what the words say of policy, rate or content counts."""
    verdict = classify(code, text, phase)
    assert (verdict.temporary, verdict.klass) == (False, klass)


@pytest.mark.parametrize("text", [one for some in UNWANTED.values() for one in some])
def test_words_against_the_sender_outweigh_the_code_in_any_language(text):
    assert classify(550, f"5.1.1 {text}", "rcpt").klass == "policy"


@pytest.mark.parametrize("text", [one for some in NOBODY.values() for one in some])
def test_a_dead_mailbox_stays_one_in_any_language(text):
    assert classify(550, f"5.1.1 {text}", "rcpt").klass == "bad_mailbox"


@pytest.mark.parametrize(("code", "text", "slow"), TEMPORARY)
def test_temporary(code, text, slow):
    verdict = classify(code, text, "rcpt")
    assert verdict.temporary
    assert verdict.slow is slow


@pytest.mark.parametrize(("code", "phase"), [(530, "mail"), (535, "connect"), (502, "mail"), (421, "connect")])
def test_our_own_fault_fails_nobody(code, phase):
    verdict = classify(code, "5.7.0 Must issue a STARTTLS command first", phase)
    assert verdict.temporary
    assert verdict.route


def test_a_refused_sender_is_no_bad_mailbox():
    assert classify(550, "5.1.1 user unknown", "mail").klass == "policy"


@given(st.integers(400, 499), st.text(max_size=80))
def test_4xx_never_fails_and_nothing_raises(code, text):
    assert classify(code, text, "body").temporary


@given(st.integers(-1, 999), st.text(max_size=200), st.sampled_from(["connect", "mail", "rcpt", "data", "body"]))
def test_total(code, text, phase):
    classify(code, text, phase)
    assert "@" not in without_addresses(f"550 {text} a@b.test c").replace(text, "") or "@" in text


def test_addresses_do_not_leave():
    text = "5.1.1 <ali@example.com>: no user ali@example.com\nmore"
    assert without_addresses(text) == "5.1.1 <address>: no user <address>"
    assert enhanced_code(text) == "5.1.1"


@given(st.timedeltas(timedelta(0), timedelta(days=9)), st.integers())
def test_backoff_grows_with_age_within_limits(age, seed):
    wait = backoff(age, Random(seed))
    assert timedelta(seconds=30) <= wait <= BACKOFF_MOST
    assert wait <= max(age, timedelta(minutes=1))
