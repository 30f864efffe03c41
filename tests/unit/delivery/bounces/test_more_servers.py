"""The forms of servers that no collection at hand has; each written for these tests, after the server's templates."""

import pytest

from tests.unit.delivery.bounces.mails import judged

SERVERS = {
    "haraka": (
        """
        From: MAILER-DAEMON <postmaster@haraka.example>
        To: b+token@bounces.example.org
        Subject: failed mail delivery
        Content-Type: multipart/report; report-type=delivery-status; boundary="hk"

        --hk
        Content-Type: text/plain; charset=us-ascii

        Hi. This is the Haraka Mailer program at haraka.example.
        I'm afraid I wasn't able to deliver your message to the following addresses.

        <gone@example.com>: 550 5.1.1 <gone@example.com>: Recipient address rejected: User unknown

        --hk
        Content-Type: message/delivery-status

        Reporting-MTA: dns;haraka.example

        Final-Recipient: rfc822;gone@example.com
        Action: failed
        Status: 5.1.1
        Remote-MTA: 192.0.2.8
        Diagnostic-Code: smtp; 550 5.1.1 <gone@example.com>: Recipient address rejected: User unknown

        --hk--
        """,
        [("gone@example.com", "hard", "bad_mailbox")],
    ),
    "kumomta": (
        """
        From: Mail Delivery Subsystem <mailer-daemon@kumo.example>
        To: b+token@bounces.example.org
        Subject: Returned mail
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type="delivery-status"; boundary="km"

        --km
        Content-Type: text/plain; charset="us-ascii"

        The message was received at Sat, 21 Mar 2026 08:00:00 +0000
        from news@example.org and addressed to full@example.com.
        While communicating with mx.example.com (192.0.2.9):
        Response: 552 5.2.2 The email account that you tried to reach is over quota.

        The message will be deleted from the queue.
        No further attempts will be made to deliver it.

        --km
        Content-Type: message/delivery-status

        Reporting-MTA: dns; kumo.example
        Arrival-Date: Sat, 21 Mar 2026 08:00:00 +0000

        Final-Recipient: rfc822;full@example.com
        Action: failed
        Status: 5.2.2
        Remote-MTA: dns; mx.example.com
        Diagnostic-Code: smtp; 552 5.2.2 The email account that you tried to reach is over quota.

        --km--
        """,
        [("full@example.com", "soft", "mailbox_full")],
    ),
    "stalwart": (
        """
        From: Mail Delivery Subsystem <MAILER-DAEMON@stalwart.example>
        To: b+token@bounces.example.org
        Auto-Submitted: auto-generated
        Subject: Failed to deliver message
        Content-Type: multipart/report; report-type="delivery-status"; boundary="st"

        --st
        Content-Type: text/plain; charset="utf-8"

        Your message could not be delivered to the following recipients:

        <sara@example.com> (host 'mx.example.com' rejected command 'RCPT TO:<sara@example.com>' with code 550
        (5.7.1) 'Message rejected due to local policy')

        --st
        Content-Type: message/delivery-status

        Reporting-MTA: dns;stalwart.example

        Final-Recipient: rfc822;sara@example.com
        Action: failed
        Status: 5.7.1
        Diagnostic-Code: smtp;550 5.7.1 Message rejected due to local policy
        Remote-MTA: dns;mx.example.com

        --st--
        """,
        [("sara@example.com", "soft", "policy")],
    ),
    "james": (
        """
        From: postmaster@james.example
        To: b+token@bounces.example.org
        Subject: [BOUNCE] Spring offers
        Content-Type: multipart/report; report-type=delivery-status; boundary="ja"

        --ja
        Content-Type: text/plain

        Hi. This is the James mail server at james.example.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out. Below
        I include the list of recipients and the reason why I was unable to deliver
        your message.

        Failed recipient(s):
        nobody@example.com

        Error message:
        550 5.1.1 <nobody@example.com>... User unknown

        --ja
        Content-Type: message/delivery-status

        Reporting-MTA: dns; james.example
        Final-Recipient: rfc822; nobody@example.com
        Action: failed
        Status: Delivery error
        Diagnostic-Code: X-James; 550 5.1.1 <nobody@example.com>... User unknown

        --ja--
        """,
        [("nobody@example.com", "hard", "bad_mailbox")],
    ),
    "mimecast": (
        """
        From: Mail Delivery System <postmaster@eu-smtp.mimecast.example>
        To: b+token@bounces.example.org
        Subject: [Postmaster] Email Delivery Failure
        Content-Type: multipart/report; report-type=delivery-status; boundary="mc"

        --mc
        Content-Type: text/plain

        This is a delivery failure notification message indicating that
        an email you addressed to email address :
        -- ali@example.com

        could not be delivered. The problem appears to be :
        -- Recipient email address is possibly incorrect

        Additional information follows :
        -- 5.1.1 The email account that you tried to reach does not exist

        This condition occurred after 1 attempt(s) to deliver over
        a period of 0 hour(s).

        --mc
        Content-Type: message/delivery-status

        Reporting-MTA: dns; eu-smtp.mimecast.example

        Final-Recipient: rfc822; ali@example.com
        Action: failed
        Status: 5.1.1
        Diagnostic-Code: smtp; 550 5.1.1 The email account that you tried to reach does not exist

        --mc--
        """,
        [("ali@example.com", "hard", "bad_mailbox")],
    ),
    "a gateway that greylists": (
        """
        From: Mail Delivery System <MAILER-DAEMON@proofpoint.example>
        To: b+token@bounces.example.org
        Subject: Warning: could not send message for past 4 hours
        Content-Type: multipart/report; report-type=delivery-status; boundary="pp"

        --pp
        Content-Type: text/plain

        THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.

        <reza@example.com>: 451 4.7.1 Greylisting in action, please come back later

        --pp
        Content-Type: message/delivery-status

        Reporting-MTA: dns; proofpoint.example

        Final-Recipient: rfc822; reza@example.com
        Action: delayed
        Status: 4.7.1
        Diagnostic-Code: smtp; 451 4.7.1 Greylisting in action, please come back later

        --pp--
        """,
        [("reza@example.com", "soft", "rate")],
    ),
    "icloud": (
        """
        From: MAILER-DAEMON@relay.example (Mail Delivery System)
        To: b+token@bounces.example.org
        Subject: Undelivered Mail Returned to Sender
        Content-Type: multipart/report; report-type=delivery-status; boundary="ic"

        --ic
        Content-Type: text/plain

        This is the mail system at host relay.example.

        <neda@icloud.example>: host mx01.mail.icloud.example[192.0.2.4] said: 554 5.7.1 [CS01] Message rejected due to
            local policy. Please visit https://support.apple.example/HT204137 (in reply to end of DATA command)

        --ic
        Content-Type: message/delivery-status

        Reporting-MTA: dns; relay.example

        Final-Recipient: rfc822; neda@icloud.example
        Action: failed
        Status: 5.7.1
        Diagnostic-Code: smtp; 554 5.7.1 [CS01] Message rejected due to local policy. Please visit
            https://support.apple.example/HT204137

        --ic--
        """,
        [("neda@icloud.example", "soft", "policy")],
    ),
    "postal": (
        """
        From: "Postal" <postmaster@postal.example>
        To: b+token@bounces.example.org
        Subject: Mail Delivery Failed (Spring offers)
        Auto-Submitted: auto-generated
        Content-Type: multipart/mixed; boundary="po"

        --po
        Content-Type: text/plain

        This is the mail delivery service responsible for delivering mail to example.com.

        The message you've sent cannot be delivered. The message you sent to
        omid@example.com could not be delivered: 550 5.1.1 unknown recipient (in reply to RCPT TO)

        --po--
        """,
        [("omid@example.com", "hard", "bad_mailbox")],
    ),
    "zimbra": (
        """
        From: Mail Delivery System <MAILER-DAEMON@zimbra.example>
        To: b+token@bounces.example.org
        Subject: Undelivered Mail Returned to Sender
        Content-Type: multipart/report; report-type=delivery-status; boundary="zi"

        --zi
        Content-Type: text/plain

        <mina@example.com>: host zimbra.example[192.0.2.6] said: 452 4.2.2 Over quota (in reply to end of DATA command)

        --zi
        Content-Type: message/delivery-status

        Reporting-MTA: dns; zimbra.example

        Final-Recipient: rfc822; mina@example.com
        Action: failed
        Status: 4.2.2
        Remote-MTA: dns; zimbra.example
        Diagnostic-Code: smtp; 452 4.2.2 Over quota

        --zi--
        """,
        [("mina@example.com", "soft", "mailbox_full")],
    ),
    "mdaemon": (
        """
        From: "MDaemon at mail.example" <MDaemon@mail.example>
        To: b+token@bounces.example.org
        Subject: Permanent Delivery Failure
        Content-Type: text/plain

        ----------------------------------------------------------------------
        --- MDaemon has detected a delivery failure
        ----------------------------------------------------------------------

        The attached message had PERMANENT fatal delivery errors.

        Failed address: karim@example.com

        --- Session Transcript ---
         <-- 220 mx.example.com ESMTP
         --> RCPT To:<karim@example.com>
         <-- 550 5.1.1 karim@example.com... No such user here
        --- End Transcript ---
        """,
        [("karim@example.com", "hard", "bad_mailbox")],
    ),
    "a forwarding service": (
        """
        From: mailer-daemon@routing.example
        To: b+token@bounces.example.org
        Subject: Undeliverable: Spring offers
        Content-Type: multipart/report; report-type=delivery-status; boundary="fw"

        --fw
        Content-Type: text/plain

        The address you mailed forwards to another one, which did not take the message.

        --fw
        Content-Type: message/delivery-status

        Reporting-MTA: dns; routing.example

        Original-Recipient: rfc822; hello@shop.example
        Final-Recipient: rfc822; owner@gmail.example
        Action: failed
        Status: 5.7.26
        Diagnostic-Code: smtp; 550-5.7.26 Your email has been blocked because the sender is unauthenticated.

        --fw--
        """,
        [("hello@shop.example", "soft", "policy")],
    ),
    "in Persian": (
        """
        From: =?utf-8?b?2LPYp9mF2KfZhtmHINm+2LPYqg==?= <mailer-daemon@mail.example.ir>
        To: b+token@bounces.example.org
        Subject: =?utf-8?b?2YbYp9mF2Ycg2KrYrdmI24zZhCDYr9in2K/ZhyDZhti02K8=?=
        Content-Type: multipart/report; report-type=delivery-status; boundary="fa"

        --fa
        Content-Type: text/plain; charset=utf-8

        نامهٔ شما به این نشانی تحویل داده نشد: <zahra@example.ir>

        --fa
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mail.example.ir

        Final-Recipient: rfc822; zahra@example.ir
        Action: failed
        Status: 5.1.1
        Diagnostic-Code: smtp; 550 5.1.1 <zahra@example.ir>: صندوق وجود ندارد

        --fa--
        """,
        [("zahra@example.ir", "hard", "bad_mailbox")],
    ),
}


@pytest.mark.parametrize(("text", "expected"), SERVERS.values(), ids=SERVERS.keys())
def test_a_servers_report_is_judged(text, expected):
    assert judged(text) == expected
