"""Whole mails, written for these tests: who is judged, and how."""

from textwrap import dedent

import pytest
from common.link_tokens import TokenKeys
from delivery.domain.bounces import Judgement, classify_mail
from delivery.domain.claims import Matcher
from delivery.domain.return_path import ReturnPaths
from delivery.domain.returns import read_returns

from tests.unit.delivery.bounces.mails import judged, mail

RING = {"k1": b"a" * 32}
MATCHER = Matcher(ReturnPaths(RING, "b@mail.example.com"), TokenKeys(RING))

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
        Judgement("slow@example.com", "soft", "4.1.1", "450", "network", delayed=True),
        Judgement("fine@example.com", "delivered", "2.0.0", "", "delivered"),
    ]


def test_line_ends_do_not_matter():
    assert classify_mail(mail(DSN).replace(b"\r\n", b"\n")) == classify_mail(mail(DSN))
    assert classify_mail(mail(DSN).replace(b"\r\n", b"\r")) == classify_mail(mail(DSN))


def test_a_report_without_its_delimiters_is_read_as_text():
    assert judged(DSN.replace("--=_b/1", "")) == judged(DSN)


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


ANSWERS = {
    "fields that she pasted": (
        "Ann Hariri <ann@example.com>",
        "Re: News of November",
        "Keep me, but drop my colleague:\n\nFinal-Recipient: rfc822; old@b.example\nAction: failed\nStatus: 5.1.1\n",
    ),
    "a name that daemons have": (
        "Postmaster-Apotheke <info@apotheke.example>",
        "AW: Angebot",
        "User unknown in your list? 550 5.1.1 no such user here, says my colleague.",
    ),
    "a host that daemons have": ("info@bouncehouse-rental.example", "Re: Offer", "It could not be delivered, sorry."),
    "a title": ("Ann (System Administrator) <ann@example.com>", "Re: Offer", "mail delivery failed, you wrote?"),
    "a subject about vacation": ("ann@example.com", "Re: Your summer vacation starts here", "Which hotel is it?"),
    "a subject about offices": ("ann@example.com", "پاسخ: Out of office chairs", "چند است؟"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_persons_answer_is_no_report_whatever_its_sender_subject_or_text(case):
    sender, subject, text = ANSWERS[case]
    head = f"From: {sender}\nSubject: {subject}\nIn-Reply-To: <1@news.example>\n"
    assert classify_mail(f"{head}\n{text}".encode()) == []


PEOPLE = [
    "Postmaster-Apotheke <info@apotheke.example>",
    "info@bouncehouse-rental.example",
    "Dana <dana@debounce.example>",
    "Hotel Postmaster <hotel@example.com>",
    "Best Delivery System GmbH <post@best.example>",
    "Ann Hariri, System Administrator <ann@example.com>",
    "Mailer Service Berlin <kontakt@mailer.example>",
    "Kundenservice <service@example.com>",
    "Postmaster <postmaster@example.com>",
]


@pytest.mark.parametrize("sender", PEOPLE)
@pytest.mark.parametrize("subject", ["Your offer", "A question about the blue one", "Ihr Angebot"])
def test_a_mail_by_a_person_whose_name_or_host_has_a_daemons_word_in_it_is_theirs(sender, subject):
    text = f"From: {sender}\nTo: news@example.org\nSubject: {subject}\n\nDo you have it in blue? Please call me.\n"
    (mail,) = read_returns(text.encode(), (), MATCHER, "test")
    assert mail.judgements == ()
    assert mail.author.endswith(("example", "example.com"))


def test_status_fields_that_a_person_pastes_into_a_first_mail_are_no_report():
    pasted = "Final-Recipient: rfc822; old@b.example\nAction: failed\nStatus: 5.1.1\n"
    head = "From: Ann <ann@example.com>\nTo: news@example.org\nSubject: My colleague\n"
    text = f"{head}\nKeep me, but drop my colleague, as your mail said:\n\n{pasted}"
    (mail,) = read_returns(text.encode(), (), MATCHER, "test")
    assert (mail.judgements, mail.author) == ((), "ann@example.com")
    for who in ("From: postmaster@b.example", "Return-Path: <>\nFrom: x@b.example\nSubject: Mail failure"):
        (one,) = classify_mail(f"{who}\n\n{pasted}".encode())
        assert (one.recipient, one.kind) == ("old@b.example", "hard")


@pytest.mark.parametrize(
    "sender",
    [
        "MAILER-DAEMON@mx.example.net",
        "MAILER-DAEMON <>",
        "MAILER-DAEMON (Mail Delivery System)",
        "<>",
        "Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
        '"Mail Delivery System" <daemon-7@mx.example.net>',
        "Mail Delivery System <Mail.Delivery.System@mx.example.net>",
        "bounces+abc@mx.example.net",
        "Mailer-Daemon <postmaster@mx.example.net>",
        "MDaemon@mx.example.net",
    ],
)
def test_a_mail_systems_own_name_or_address_is_enough(sender):
    (one,) = classify_mail(f"From: {sender}\nSubject: E\n\n<old@example.com>\n550 5.1.1 no such user\n".encode())
    assert (one.recipient, one.kind) == ("old@example.com", "hard")


@pytest.mark.parametrize(
    "how", ["Return-Path: <>\nSubject: E", "Subject: Undeliverable: November", "Subject: Message status"]
)
def test_a_postmasters_mail_is_a_report_if_anything_else_says_so(how):
    head = f"From: System Administrator <postmaster@example.net>\n{how}\n"
    (one,) = classify_mail(f"{head}\nNot delivered:\n<old@example.com>\n550 5.1.1 no such user\n".encode())
    assert (one.recipient, one.kind) == ("old@example.com", "hard")


@pytest.mark.parametrize("header", ["Auto-Submitted: auto-replied", "Precedence: auto_reply", "X-Autoreply: yes"])
def test_what_a_machine_says_it_wrote_is_no_persons_answer(header):
    head = f"From: ann@example.com\nSubject: Re: News\nIn-Reply-To: <1@news.example>\n{header}\n"
    (one,) = classify_mail(f"{head}\nI am away.".encode())
    assert one.kind == "auto-reply"
