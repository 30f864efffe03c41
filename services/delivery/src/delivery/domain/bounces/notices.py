"""Amazon SES's notices of bounces, complaints and deliveries, as SNS sends them on by mail: JSON in the text."""

import json
import re
from typing import Any

from delivery.domain.bounces.report import Report
from delivery.domain.bounces.verdicts import Evidence, Verdict, judge

_BEGIN = re.compile(r'\{\s*"(?:notificationType|eventType)"')
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_WRAPPED = re.compile(r"!?\n ")  # long lines, as mail servers break them


def notices(report: Report) -> list[tuple[str, Verdict]]:
    """Recipients and verdicts of the notice in a mail; nothing where there is none, or none that can be read."""
    begin = _BEGIN.search(report.said)
    if begin is None:
        return []
    try:
        notice, _ = json.JSONDecoder(strict=False).raw_decode(_WRAPPED.sub("", report.said[begin.start() :]))
    except (ValueError, RecursionError):
        return []
    return told_by(notice)


def told_by(notice: Any) -> list[tuple[str, Verdict]]:
    """Recipients and verdicts of a notice; nothing where it is none of bounce, complaint, delivery or delay."""
    kind = _text(notice, "notificationType") or _text(notice, "eventType")
    about = notice.get(kind[:1].lower() + kind[1:]) if isinstance(notice, dict) else None
    if kind == "Bounce":
        return [(_text(one, "emailAddress"), _bounced(one, about)) for one in _list(about, "bouncedRecipients")]
    if kind == "Complaint":
        reason = re.sub(r"[^a-z]+", "_", _text(about, "complaintFeedbackType").lower()).strip("_") or "abuse"
        return [
            (_text(one, "emailAddress"), Verdict("complaint", reason)) for one in _list(about, "complainedRecipients")
        ]
    if kind == "Delivery":
        reply = _text(about, "smtpResponse")[:3]
        return [
            (one, Verdict("delivered", "delivered", reply=reply))
            for one in _list(about, "recipients")
            if isinstance(one, str)
        ]
    if kind == "DeliveryDelay":
        return [(_text(one, "emailAddress"), _delayed(one)) for one in _list(about, "delayedRecipients")]
    return []


def _delayed(one: Any) -> Verdict:
    return judge(Evidence(action="delayed", status=_status(one), words=_words(one)))


def _bounced(one: Any, about: Any) -> Verdict:
    verdict = judge(
        Evidence(
            action=_text(one, "action").lower(),
            status=_status(one),
            words=_words(one),
            ahead=_text(about, "bounceSubType"),
        )
    )
    if verdict.kind == "hard" and (
        _text(about, "bounceType") != "Permanent" or "Suppress" in _text(about, "bounceSubType")
    ):
        return Verdict("soft", "inactive", verdict.status, verdict.reply)
    return verdict


def _words(one: Any) -> str:
    _, _, words = _text(one, "diagnosticCode").partition(";")
    return words or _text(one, "diagnosticCode")


def _status(one: Any) -> str:
    found = _ENHANCED.search(_text(one, "status"))
    return found[0] if found else ""


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found[:500] if isinstance(found, list) else []
