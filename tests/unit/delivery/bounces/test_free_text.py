"""Reports that servers write for people, written for these tests."""

import pytest

from tests.unit.delivery.bounces.mails import judged

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
