"""Complaints by people, told by their provider (RFC 5965 and its forerunners)."""

import re
from dataclasses import dataclass

from delivery.domain.bounces.fields import ADDRESS, MOST_RECIPIENTS, clean_address, fields_of
from delivery.domain.bounces.freetext import returned_to
from delivery.domain.bounces.report import Report
from delivery.domain.bounces.verdicts import Kind

_RECIPIENT_FIELDS = frozenset({"original-rcpt-to", "removal-recipient"})
_SUBJECT = re.compile(
    r"^(?:complaint about message from|email feedback report|(?:e-?mail )?abuse report|spam complaint)", re.I
)
_REPORTER = re.compile(r"^(?:staff|complaints?|abuse|fbl|feedback|feedbackloop|arf|postmaster)[\w.+-]{0,40}@", re.I)
# Reports that are no complaint: RFC 6591's are about our signatures, RFC 6430's take a complaint back.
_NO_COMPLAINT: dict[str, Kind] = {"auth-failure": "soft", "not-spam": "delivered"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint. `reason`: what the report calls it; `kind`: not every feedback report is a complaint."""

    recipient: str
    reason: str
    kind: Kind


def complaints(report: Report) -> list[Complaint]:
    """The complaints a mail holds, one for each recipient it names; none if it is no feedback report."""
    if not (report.feedback or report.report_type == "feedback-report" or _old_form(report)):
        return []
    fields = fields_of(report.feedback)
    kind = next((value.lower() for name, value in fields if name == "feedback-type"), "abuse")
    values = [value for name, value in fields if name in _RECIPIENT_FIELDS]
    named = [clean_address(found[0]) for value in values if (found := ADDRESS.search(value))]
    recipients = list(dict.fromkeys(named))[:MOST_RECIPIENTS] or returned_to(report)[:1] or [""]
    reason = re.sub(r"[^a-z]+", "_", kind.partition(" ")[0]).strip("_") or "abuse"
    return [Complaint(one, reason, _NO_COMPLAINT.get(kind, "complaint")) for one in recipients]


def _old_form(report: Report) -> bool:
    """The forerunners: the mail itself, sent on by the provider under a subject that says so."""
    sender = ADDRESS.search(report.headers.get("from"))
    return bool(
        report.returned.fields
        and not report.recipients
        and _SUBJECT.search(report.headers.get("subject"))
        and sender
        and _REPORTER.search(sender[0])
    )
