"""A mail that came back, judged recipient by recipient."""

import re
from dataclasses import dataclass

from delivery.domain.bounces.automatic import author, is_answer, is_automatic, is_report
from delivery.domain.bounces.complaints import complaints
from delivery.domain.bounces.fields import RecipientFields
from delivery.domain.bounces.freetext import Passage, passages, passages_about, returned_to
from delivery.domain.bounces.mime import read_mails
from delivery.domain.bounces.notices import notices
from delivery.domain.bounces.report import Report, inmost, read_report
from delivery.domain.bounces.verdicts import Evidence, Kind, Verdict, judge

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# What answers there is a rule of the recipient's, written for mail that Amazon SES has taken already.
_RECEIPT_RULE = re.compile(r"inbound-smtp\.[\w-]+\.amazonaws\.com")
_NOTHING = Passage("", "", "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a mail says about one recipient. Empty text where it does not say: providers hide addresses.

    `delayed`: the mail is still being tried, so nothing is decided yet.
    """

    recipient: str
    kind: Kind
    status: str
    reply: str
    reason: str
    delayed: bool = False


def classify_mail(raw: bytes) -> list[Judgement]:
    """What came of each recipient the mail tells of; nothing for a mail that a person wrote.

    Raises BounceTooLarge and BounceTooManyParts, and nothing else, whatever the bytes.
    """
    return [judgement for mail in read_mails(raw) for judgement in judge_report(read_report(inmost(mail)))]


def judge_report(report: Report) -> list[Judgement]:
    """What came of each recipient a report tells of; nothing for a mail that a person wrote."""
    if told := complaints(report):
        return [_judgement(one.recipient, Verdict(one.kind, one.reason)) for one in told]
    if not is_answer(report) and (noticed := notices(report)):
        return [_judgement(recipient, verdict) for recipient, verdict in noticed]
    if is_automatic(report):
        return [_judgement(author(report), Verdict("auto-reply", "auto_reply"))]
    if not is_report(report):
        return []
    if not report.recipients:
        return [_judgement(one.recipient, judge(_by_text(one, report))) for one in passages(report)]
    about = passages_about(report)
    unnamed = next(iter(returned_to(report)), "")
    return [
        _judgement(one.recipient or unnamed, judge(_by_fields(one, about.get(one.recipient.lower(), _NOTHING), report)))
        for one in report.recipients
    ]


def _by_fields(one: RecipientFields, about: Passage, report: Report) -> Evidence:
    return Evidence(
        action=one.action,
        status=one.status,
        words=one.diagnostic,
        around=about.text,
        ahead=about.before,
        subject=report.headers.get("subject"),
        category=one.category,
        after_acceptance=one.by_program or bool(_RECEIPT_RULE.search(report.reporter)),
    )


def _by_text(one: Passage, report: Report) -> Evidence:
    return Evidence(around=one.text, ahead=one.before, subject=report.headers.get("subject"))


def _judgement(recipient: str, verdict: Verdict) -> Judgement:
    return Judgement(
        recipient=_UNPRINTABLE.sub("", recipient),
        kind=verdict.kind,
        status=verdict.status,
        reply=verdict.reply,
        reason=verdict.reason,
        delayed=verdict.delayed,
    )
