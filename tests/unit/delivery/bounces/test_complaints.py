"""Feedback reports and the notices of providers, written for these tests."""

import pytest

from tests.unit.delivery.bounces.mails import judged

ARF = """
    From: Feedback <fbl@provider.example>
    Subject: Abuse report
    Content-Type: multipart/report; report-type=feedback-report; boundary=b

    --b
    Content-Type: text/plain

    This is an abuse report.
    --b
    Content-Type: message/feedback-report

    Feedback-Type: {kind}
    User-Agent: Provider/1
    Version: 1
    {more}

    --b
    Content-Type: message/rfc822

    From: news@example.org
    To: sara@example.com
    Message-ID: <1@example.org>
    Subject: November

    Hello
    --b--
"""


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("abuse", "Source-IP: 192.0.2.1", [("sara@example.com", "complaint", "abuse")]),
        (
            "abuse",
            "Original-Rcpt-To: <a@example.com>\n    Original-Rcpt-To: b@example.com",
            [("a@example.com", "complaint", "abuse"), ("b@example.com", "complaint", "abuse")],
        ),
        ("opt-out", "Removal-Recipient: a@example.com", [("a@example.com", "complaint", "opt_out")]),
        ("auth-failure", "Auth-Failure: dkim", [("sara@example.com", "soft", "auth_failure")]),
        ("not-spam", "Source-IP: 192.0.2.1", [("sara@example.com", "delivered", "not_spam")]),
    ],
)
def test_feedback_reports(kind, more, expected):
    assert judged(ARF.format(kind=kind, more=more)) == expected


SES = """
    From: Notices <no-reply@sns.amazonaws.com>
    Subject: AWS Notification Message

    {{"notificationType":"{kind}","{name}":{about},"mail":{{"subject":"a line that was!
     broken"}}}}

    --
    If you wish to stop receiving notifications, please click the link below.
"""


@pytest.mark.parametrize(
    ("kind", "about", "expected"),
    [
        (
            "Bounce",
            '{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"a@example.com","status":"5.1.1"}]}',
            [("a@example.com", "hard", "bad_mailbox")],
        ),
        (
            "Bounce",
            '{"bounceType":"Permanent","bounceSubType":"Suppressed","bouncedRecipients":[{"status":"5.1.1"}]}',
            [("", "soft", "inactive")],
        ),
        (
            "Complaint",
            '{"complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":"a@example.com"}]}',
            [("a@example.com", "complaint", "abuse")],
        ),
        (
            "Delivery",
            '{"recipients":["a@example.com"],"smtpResponse":"250 ok"}',
            [("a@example.com", "delivered", "delivered")],
        ),
        ("Bounce", '{"bouncedRecipients":[1, {}, null]}', [("", "soft", "other")] * 3),
        ("Delivery", '{"recipients":[1, null, ["x"]]}', []),
        ("Bounce", "[}", []),
        ("Else", "{}", []),
    ],
)
def test_notices_of_ses(kind, about, expected):
    assert judged(SES.format(kind=kind, name=kind.lower(), about=about)) == expected


def test_a_complaint_of_the_old_form():
    text = """
        From: staff@provider.example
        Subject: complaint about message from 192.0.2.1
        Content-Type: multipart/mixed; boundary=b

        --b
        Content-Type: message/rfc822

        X-HmXmrOriginalRecipient: sara@example.com
        From: news@example.org
        Subject: November

        Hello
        --b--
    """
    assert judged(text) == [("sara@example.com", "complaint", "abuse")]
