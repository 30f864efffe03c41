"""Whole mails, written for these tests: who is judged, and how."""

from textwrap import dedent

import pytest
from delivery.domain.bounces import Judgement, classify_mail


def mail(text: str) -> bytes:
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


def judged(text: str) -> list[tuple[str, str, str]]:
    return [(one.recipient, one.kind, one.reason) for one in classify_mail(mail(text))]


DSN = """
    Return-Path: <>
    From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
    To: b+token@bounces.example.org
    Subject: Undelivered Mail Returned to Sender
    Auto-Submitted: auto-replied
    Content-Type: multipart/report; report-type=delivery-status; boundary="=_b/1"

    --=_b/1
    Content-Type: text/plain; charset=us-ascii

    <sara@example.com>: host mx.example.com[192.0.2.1] said: 550 5.1.1
        <sara@example.com>: Recipient address rejected: User unknown (in reply to
        RCPT TO command)

    --=_b/1
    Content-Type: message/delivery-status

    Reporting-MTA: dns; mx.example.net
    Arrival-Date: Mon, 2 Nov 2026 10:00:00 +0000

    Original-Recipient: rfc822;sara@example.com
    Final-Recipient: rfc822; s.ahmadi@internal.example.com
    Action: failed
    Status: 5.1.1
    Diagnostic-Code: smtp; 550 5.1.1 <sara@example.com>: Recipient address
        rejected: User unknown

    Final-Recipient: rfc822; <full@example.com>
    Action: failed
    Status: 5.2.2 (mailbox full)

    Final-Recipient: rfc822; slow@example.com
    Action: delayed
    Status: 4.4.1
    Diagnostic-Code: smtp; 450 4.1.1 user unknown for now

    Final-Recipient: rfc822; fine@example.com
    Action: relayed
    Status: 2.0.0

    --=_b/1
    Content-Type: text/rfc822-headers

    From: news@example.org
    To: sara@example.com
    Message-ID: <1@example.org>

    --=_b/1--
"""


def test_a_report_on_four_recipients():
    assert classify_mail(mail(DSN)) == [
        Judgement("sara@example.com", "hard", "5.1.1", "550", "bad_mailbox"),
        Judgement("full@example.com", "soft", "5.2.2", "", "mailbox_full"),
        Judgement("slow@example.com", "soft", "4.1.1", "450", "network"),
        Judgement("fine@example.com", "delivered", "2.0.0", "", "delivered"),
    ]


def test_line_ends_do_not_matter():
    assert classify_mail(mail(DSN).replace(b"\r\n", b"\n")) == classify_mail(mail(DSN))
    assert classify_mail(mail(DSN).replace(b"\r\n", b"\r")) == classify_mail(mail(DSN))


def test_a_report_without_its_delimiters_is_read_as_text():
    assert judged(DSN.replace("--=_b/1", "")) == judged(DSN)


FREE_TEXT = {
    "qmail": (
        """
        From: MAILER-DAEMON@mx.example.net
        To: b+token@bounces.example.org
        Subject: failure notice

        Hi. This is the qmail-send program at mx.example.net.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out.

        <unknown@example.com>:
        192.0.2.7 does not like recipient.
        Remote host said: 550 unknown user
        Giving up on 192.0.2.7.

        <nohost@nowhere.example>:
        Sorry, I couldn't find any host named nowhere.example. (#5.1.2)

        <late@example.com>:
        192.0.2.7 failed after I sent the message.
        Remote host said: 550 unknown user

        --- Below this line is a copy of the message.

        Return-Path: <news@example.org>
        To: somebody.else@example.com
        Subject: user unknown
        """,
        [
            ("unknown@example.com", "hard", "bad_mailbox"),
            ("nohost@nowhere.example", "hard", "bad_domain"),
            ("late@example.com", "soft", "refused"),
        ],
    ),
    "exim": (
        """
        From: Mail Delivery System <Mailer-Daemon@mx.example.net>
        To: b+token@bounces.example.org
        Auto-Submitted: auto-replied
        X-Failed-Recipients: sara@example.com
        Subject: Mail delivery failed: returning message to sender

        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of its
        recipients. This is a permanent error. The following address(es) failed:

          sara@example.com
            host mx.example.com [192.0.2.3]
            SMTP error from remote mail server after RCPT TO:<sara@example.com>:
            550 No such user

        ------ This is a copy of the message, including all the headers. ------

        To: other@example.com
        """,
        [("sara@example.com", "hard", "bad_mailbox")],
    ),
    "an alias": (
        """
        From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>
        Subject: Returned mail: see transcript for details

           ----- The following addresses had permanent fatal errors -----
        sara@inner.example.com
            (reason: 550 5.1.1 <sara@inner.example.com>... User unknown)
            (expanded from: <sara@example.com>)

           ----- Transcript of session follows -----
        >>> RCPT To:<sara@inner.example.com>
        <<< 550 5.1.1 <sara@inner.example.com>... User unknown
        """,
        [("sara@example.com", "hard", "bad_mailbox")],
    ),
    "a warning": (
        """
        From: Mail Delivery Subsystem <mailer-daemon@mail.example.net>
        Subject: Delivery Status Notification (Delay)

        THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.

        Delivery to the following recipient has been delayed:

             sara@example.com

        Message will be retried for 2 more day(s)
        """,
        [("sara@example.com", "soft", "other")],
    ),
    "exchange": (
        """
        From: System Administrator <postmaster@example.com>
        To: b+token@bounces.example.org
        Subject: Undeliverable: November

        Your message

          To:      everybody@example.org
          Subject: November
          Sent:    Mon, 2 Nov 2026 10:00:00 +0000

        did not reach the following recipient(s):

        sara@example.com on Mon, 2 Nov 2026 10:00:05 +0000
            The recipient name is not recognized
        """,
        [("sara@example.com", "hard", "bad_mailbox")],
    ),
    "a directory": (
        """
        From: Postmaster@example.com
        Subject: DELIVERY FAILURE: User Sara (sara@example.com) not listed in Domino Directory

        Your message

          Subject: November

        was not delivered to:

          sara@example.com

        because:

          User Sara (sara@example.com) not listed in Domino Directory
        """,
        [("sara@example.com", "hard", "bad_mailbox")],
    ),
    "another language": (
        """
        From: postmaster@example.com
        Subject: =?utf-8?q?Unzustellbar=3A_November?=
        Content-Type: text/plain; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        Ihre Nachricht an die folgende Adresse konnte nicht zugestellt werden:

        sara@example.com
        #550 5.1.1 Empf=E4nger existiert nicht
        """,
        [("sara@example.com", "hard", "bad_mailbox")],
    ),
    "only HTML": (
        """
        From: Mail System <postmaster@example.com>
        Subject: Undeliverable mail
        Content-Type: text/html

        <html><head><style>a { color: red }</style></head><body><p>Delivery failed to</p><div>sara@example.com</div>
        <p>552 5.2.2 mailbox &#102;ull</p></body></html>
        """,
        [("sara@example.com", "soft", "mailbox_full")],
    ),
    "a session": (
        """
        From: MDaemon@mail.example.com
        Subject: Permanent Delivery Failure

        The following addresses did NOT receive a copy of your message:

        > sara@example.com

        --- Session Transcript ---
         220 mx.example.com ESMTP
         MAIL From:<b+token@bounces.example.org> SIZE=1861
         250 ok
         RCPT To:<sara@example.com>
         550 No such user here
         QUIT
        """,
        [("sara@example.com", "hard", "bad_mailbox")],
    ),
    "the command in brackets": (
        """
        From: MAILER-DAEMON@provider.example
        Subject: Failure Notice

        Sorry, we were unable to deliver your message to the following address.

        <sara@example.com>:
        Remote host said: 550 Unknown user sara@example.com [RCPT_TO]

        <ali@example.com>:
        Remote host said: 550 Unknown user ali@example.com [BODY]
        """,
        [("sara@example.com", "hard", "bad_mailbox"), ("ali@example.com", "soft", "refused")],
    ),
    "no recipient at all": (
        """
        From: MAILER-DAEMON@example.com
        Subject: Mail could not be delivered

        It did not work.
        """,
        [("", "soft", "other")],
    ),
}


@pytest.mark.parametrize("name", FREE_TEXT)
def test_a_report_for_people(name):
    text, expected = FREE_TEXT[name]
    assert judged(text) == expected


def test_the_mail_that_came_back_is_not_read_for_reasons():
    text, expected = FREE_TEXT["qmail"]
    assert judged(text + "        550 5.1.1 <innocent@example.com>: user unknown\n") == expected


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


@pytest.mark.parametrize(
    "fields",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated",
        "Precedence: auto_reply",
        "X-Autoreply: yes",
        "Subject: Automatic reply: November",
        "Subject: Abwesenheitsnotiz",
        "Subject: =?utf-8?b?2b7Yp9iz2K4g2K7ZiNiv2qnYp9ix?=",
        "Content-Type: multipart/report; report-type=disposition-notification",
    ],
)
def test_automatic_answers_are_never_bounces(fields):
    text = f"""
        {fields}
        From: Sara Ahmadi <sara@example.com>
        To: news@example.org

        I no longer work here. 550 5.1.1 sara@example.com: user unknown, mailbox does not exist.
    """
    assert judged(text) == [("sara@example.com", "auto-reply", "auto_reply")]


@pytest.mark.parametrize(
    "text",
    [
        "From: Sara <sara@example.com>\nSubject: Re: November\n\nThank you; ali@example.com: 550 5.1.1 user unknown\n",
        "From: Sara <sara@example.com>\nSubject: failure notice\nIn-Reply-To: <1@x>\n\n550 5.1.1 <ali@example.com>\n",
        "From: Sara <sara@example.com>\nSubject: hello\n\nI was unable to reach ali@example.com\n",
        "",
        "\x00\x00",
    ],
)
def test_mails_by_people_say_nothing(text):
    assert judged(text) == []


def test_a_report_passed_on_is_read():
    inner = dedent(DSN).lstrip("\n")
    outer = "From: postmaster@example.com\nContent-Type: multipart/mixed; boundary=o\n\n--o\n"
    outer += "Content-Type: message/rfc822\n\n"
    assert classify_mail((outer + inner + "\n--o--\n").encode()) == classify_mail(mail(DSN))


def test_several_mails_of_a_mailbox_file():
    one = "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n" + dedent(DSN).lstrip("\n") + "\n"
    assert classify_mail((one + one).encode()) == classify_mail(mail(DSN)) * 2
