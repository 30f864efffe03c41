"""What came back, decided without a database: any bytes, any event, any claim."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from common.link_tokens import TokenKeys
from delivery.domain.bounces import Judgement
from delivery.domain.bounces.fields import address_of
from delivery.domain.claims import Matcher
from delivery.domain.provider_events import mailgun, postmark, sendgrid, ses
from delivery.domain.provider_events.common import Forged, Unreadable
from delivery.domain.return_path import Claim, ReturnPaths
from delivery.domain.returns import ANSWER_WITHIN, BOUNCE_WITHIN, Returned, Sent, decide, read_returns
from delivery.errors import BounceTooLarge, BounceTooManyParts
from hypothesis import given
from hypothesis import strategies as st

RING = {"k1": b"a" * 32}
MATCHER = Matcher(ReturnPaths(RING, "b@mail.example.com"), TokenKeys(RING))
NOW = datetime(2026, 3, 21, 8, tzinfo=UTC)
ID = UUID(int=1)
STATUSES = ["pending", "attempting", "sent", "deferred", "failed", "suppressed", "uncertain", "expired", "cancelled"]

judgements = st.builds(
    Judgement,
    st.sampled_from(["ann@example.com", "ANN@example.com", "eve@example.net", ""]),
    st.sampled_from(["hard", "soft", "complaint", "auto-reply", "delivered"]),
    st.just(""),
    st.just(""),
    st.sampled_from(["bad_mailbox", "policy", "mailbox_full"]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["event", "event-data", "id", "severity", "delivery-status", "RecordType", "Type", "Details", "Message",
                 "notificationType", "bounce", "bouncedRecipients", "mail", "headers", "source", "smtp-id", "email"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(
    st.lists(judgements, max_size=3),
    st.sampled_from(["path", "link", "reply", ""]),
    st.booleans(),
    st.sampled_from(STATUSES),
    st.integers(0, 2),
    st.integers(0, 200),
    st.sampled_from(["ann@example.com", None]),
)
def test_nothing_counts_without_proof_that_it_is_about_a_mail_that_was_sent_lately(
    said, proof, vouched, status, attempt, days, email
):
    returned = Returned(ID, "test", tuple(said), (), "" if said else "ann@example.com", vouched=vouched)
    claim = Claim(ID, proof=proof)
    decision = decide(returned, claim, Sent(email, status, attempt, NOW - timedelta(days=days)), NOW)
    if decision.counts:
        assert timedelta(days=days) <= (
            ANSWER_WITHIN if decision.kind in {"complaint", "reply", "auto-reply"} else BOUNCE_WITHIN
        )
        assert (proof and attempt) or (status in {"sent", "uncertain"} and email is not None)
        if decision.kind in {"hard", "complaint"} or decision.proven:
            assert vouched or proof == "path" or (proof and decision.kind not in {"hard", "soft", "delivered"})
    assert decision.counts or not decision.proven
    assert not decide(returned, None, None, NOW).counts
    # Whatever else is said in the same mail, somebody's own line is believed before a stranger's.
    own = [one for one in said if one.recipient.lower() == "ann@example.com"]
    if email and own and decision.kind == "hard":
        assert any(one.kind == "hard" for one in own)
    if email and said and not own and decision.kind == "hard":
        assert all(one.kind == "hard" for one in said), "of strangers the mildest"
        assert any(one.recipient == "" for one in said), "and never of one at another domain"


@given(st.binary(max_size=2000), st.lists(st.text(max_size=60), max_size=3))
def test_any_bytes_are_read(raw, envelope):
    try:
        found = read_returns(raw, envelope, MATCHER, "test")
    except (BounceTooLarge, BounceTooManyParts):
        return
    again = read_returns(raw, envelope, MATCHER, "test")
    assert [one.id for one in found] == [one.id for one in again]


@given(JSON)
def test_any_event_is_read_or_refused(body):
    body = orjson.loads(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))
    for provider in (sendgrid, mailgun, postmark, ses):
        for shaped in (body, [body]):
            try:
                found = provider.returns(shaped, MATCHER, "endpoint")
            except Unreadable:
                continue
            assert all(one.judgements for one in found)
    for shaped in (body, {"signature": body}):
        with pytest.raises(Forged):
            mailgun.verified(shaped, "key")
    with pytest.raises(Forged):
        ses.certificate_url(body, "arn:aws:sns:eu-west-1:123456789012:t")


def test_the_traces_of_its_way_do_not_make_it_another_mail():
    mail = b"From: a@x.example\nSubject: s\nMessage-ID: <1@x.example>\n\ntext\n"
    (one,) = read_returns(mail, (), MATCHER, "test")
    (other,) = read_returns(
        b"Return-Path: <>\r\nDelivered-To: z@x.example\r\nReceived: by y\r\n" + mail.replace(b"\n", b"\r\n"),
        (),
        MATCHER,
        "t",
    )
    assert one.id == other.id
    (third,) = read_returns(mail.replace(b"text", b"test"), (), MATCHER, "test")
    assert third.id != one.id


@pytest.mark.parametrize("kind", ["hard", "soft", "complaint", "delivered"])
def test_the_address_of_an_answer_which_everybody_sees_proves_no_report(kind):
    paths = ReturnPaths(RING, "b@mail.example.com", "r@mail.example.com")
    workspace_id, sent = UUID(int=2), Sent("ann@example.com", "sent", 1, NOW)
    said = Returned(ID, "lmtp", (Judgement("alias@example.com", kind, "", "", "bad_mailbox"),), ())
    by_reply, by_bounce = (
        paths.claim(paths.replies_to(workspace_id, ID)),
        paths.claim(paths.bounces_to(workspace_id, ID)),
    )
    assert not decide(said, by_reply, sent, NOW).counts
    assert decide(said, by_bounce, sent, NOW).counts
    answer = Returned(ID, "lmtp", (), (), "ann@elsewhere.example")
    assert decide(answer, by_reply, sent, NOW).counts


def bounced(recipient, kind="hard", reason="bad_mailbox", **more):
    return Returned(ID, "lmtp", (Judgement(recipient, kind, "5.1.1", "550", reason),), (), **more)


@pytest.mark.parametrize("proof", ["link", "reply", ""])
def test_a_refusal_for_good_without_its_envelope_address_is_a_soft_one(proof):
    """Message-ID and recipient stand in every answer to all, the link in the text, the Reply-To in its header."""
    sent = Sent("ann@example.com", "sent", 1, NOW)
    decision = decide(bounced("ann@example.com"), Claim(ID, proof=proof), sent, NOW)
    assert (decision.kind, decision.reason, decision.status) == ("soft", "unproven", "5.1.1")
    assert (decision.counts, decision.proven) == (True, False)
    vouched = decide(bounced("ann@example.com", vouched=True), Claim(ID, proof=proof), sent, NOW)
    assert (vouched.kind, vouched.proven) == ("hard", True)


def test_a_complaint_needs_what_could_unsubscribe_its_person_anyhow():
    sent = Sent("ann@example.com", "sent", 1, NOW)
    said = bounced("ann@example.com", "complaint", "abuse")
    counts = [decide(said, Claim(ID, proof=proof), sent, NOW).counts for proof in ("path", "link", "reply", "")]
    assert counts == [True, True, False, False]


@pytest.mark.parametrize(
    ("recipient", "kind", "reason"),
    [
        ("ann@example.com", "hard", "bad_mailbox"),
        ("ann.h@example.com", "hard", "bad_mailbox"),
        ("ann@mx1.example.com", "hard", "bad_mailbox"),
        ("ann", "hard", "bad_mailbox"),
        ("", "hard", "bad_mailbox"),
        ("ann@gmail.example", "soft", "forwarded"),
        ("ann@notexample.com", "soft", "forwarded"),
    ],
)
def test_a_dead_mailbox_at_another_domain_is_not_the_recipients(recipient, kind, reason):
    """They have their mail forwarded there, and may well read it at home."""
    decision = decide(bounced(recipient), Claim(ID, proof="path"), Sent("ann@example.com", "sent", 1, NOW), NOW)
    assert (decision.kind, decision.reason, decision.counts) == (kind, reason, True)


@pytest.mark.parametrize("email", ["ann+news@example.com", "ann+2Bnews@example.com"])
def test_a_recipient_is_known_by_their_address_as_orcpt_has_it_and_by_their_own_that_looks_like_it(email):
    read = address_of("rfc822; ann+2Bnews@example.com")
    assert decide(bounced(read), Claim(ID), Sent(email, "sent", 1, NOW), NOW).counts
    assert not decide(bounced(read), Claim(ID), Sent("ann@example.com", "sent", 1, NOW), NOW).counts


def test_a_full_mailbox_that_mail_is_forwarded_to_is_not_the_recipients_and_a_policy_stays_one():
    sent, claim = Sent("ann@example.com", "sent", 1, NOW), Claim(ID, proof="path")
    assert decide(bounced("a@x.example", "soft", "mailbox_full"), claim, sent, NOW).reason == "forwarded"
    assert decide(bounced("a@x.example", "soft", "policy"), claim, sent, NOW).reason == "policy"
