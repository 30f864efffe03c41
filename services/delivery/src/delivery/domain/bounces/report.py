"""What a mail that came back holds: the report for people, the fields for machines, the headers of the first mail."""

import html
import re
from dataclasses import dataclass
from textwrap import dedent

from delivery.domain.bounces.fields import RecipientFields, fields_of, recipients_of
from delivery.domain.bounces.mime import MAX_TEXT, Headers, Part, read_mails, split_headers

_STATUS_TYPES = frozenset(
    {"message/delivery-status", "message/global-delivery-status", "message/xdelivery-status", "text/delivery-status"}
)
_RETURNED_TYPES = frozenset(
    {
        "message/rfc822",
        "message/global",
        "message/partial",
        "message/global-headers",
        "message/rfc822-headers",
        "text/rfc822-headers",
    }
)
_FEEDBACK_TYPES = frozenset({"message/feedback-report", "text/feedback-report"})
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]{0,20}|!)[^<>]{0,2000}>", re.I)
_UNSEEN = frozenset({"style", "script", "head"})
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table"})
_FIELDS = re.compile(r"^[ \t]{0,4}(?:reporting-mta|final-recipient|original-recipient)[ \t]*:", re.I | re.M)

# Where the report ends and the first mail begins, when no part says so: a line of one of these.
_RETURNED = re.compile(
    r"^(?:[^\w\n]{0,40}(?:below|enclosed|included|attached)\b.{0,40}\b(?:copy|original|message|headers?|"
    r"mail)\b.{0,40}|[^\w\n]{0,40}this is a copy of .{0,80}|[^\w\n]{0,40}(?:original|returned|unsent|"
    r"undelivered) (?:message|mail|e-?mail)\b.{0,40}|[^\w\n]{0,40}(?:the |a copy of the )?(?:headers?|"
    r"first .{1,20}) of (?:the|your) (?:original )?(?:message|mail).{0,40}|[^\w\n]{0,40}(?:original |"
    r"your )?(?:message|mail) headers?\b.{0,40}|[^\w\n]{0,40}(?:intestazioni originali|en-têtes de message|"
    r"encabezados de mensaje|ursprüngliche nachricht).{0,40}|[-\s]{0,6}(?:received|return-path|"
    r"dkim-signature|domainkey-signature|arc-seal|x-received)[ \t]*:.*)$",
    re.I | re.M,
)


@dataclass(frozen=True, slots=True)
class Report:
    """A mail, taken apart. `said`: text for people, without the mail it returns.

    `structured`: the recipients stand in a part of their own, and not just in text that anybody can paste.
    """

    headers: Headers
    report_type: str
    said: str
    recipients: list[RecipientFields]
    reporter: str
    feedback: str
    returned: Headers
    structured: bool = False


def inmost(mail: Part) -> Part:
    """The mail itself, or the report it carries where somebody passed one on and says nothing else."""
    leaves = list(mail.leaves())
    if len(leaves) > 3 or any(leaf.content_type in _STATUS_TYPES | _FEEDBACK_TYPES for leaf in leaves):
        return mail
    for leaf in leaves:
        if leaf.content_type == "message/rfc822":
            inner = next(read_mails(leaf.decoded()))
            if inner.parameters.get("report-type") and inner.children:
                return inner
    return mail


def read_report(mail: Part) -> Report:
    """The parts of a mail by what they are for."""
    plain: list[str] = []
    rich: list[str] = []
    status = feedback = ""
    returned = Headers(())
    for leaf in mail.leaves():
        kind = leaf.content_type
        if kind in _STATUS_TYPES:
            status += leaf.text() + "\n\n"
        elif kind in _FEEDBACK_TYPES:
            feedback += leaf.text() + "\n"
        elif kind in _RETURNED_TYPES:
            returned = returned if returned.fields else split_headers(leaf.decoded().lstrip(b"\n"))[0]
        elif kind == "text/html":
            rich.append(_without_markup(leaf.text()))
        elif kind.startswith(("text/", "multipart/")) and not returned.fields:  # a multipart without its delimiters
            plain.append(leaf.text())
    told = "\n".join(plain)
    if len(told.strip()) < 20 and rich:
        told += "\n" + "\n".join(rich)
    said, rest = split_returned(told[:MAX_TEXT])
    reporter = next((value for name, value in fields_of(status[:MAX_TEXT]) if name == "reporting-mta"), "")
    recipients = recipients_of(status[:MAX_TEXT])
    structured = bool(recipients)
    if not recipients and (fields := _FIELDS.search(told)):
        recipients = recipients_of(told[fields.start() :][:MAX_TEXT])
        said = told[: fields.start()] if recipients else said
    if not returned.fields:
        returned = split_headers(dedent(rest).lstrip("\n").encode("utf-8", "replace"))[0]
    kind = mail.parameters.get("report-type", "").lower()
    return Report(mail.headers, kind, said, recipients, reporter, feedback, returned, structured)


def split_returned(told: str) -> tuple[str, str]:
    """The report, and the mail it quotes below."""
    for found in _RETURNED.finditer(told):
        before = told[: found.start()]
        if "@" in before or len(before.split()) > 30:  # else the mark is the report's own first line
            header = re.match(r"[-\s]{0,6}[\w-]+\s*:.", found[0])
            return before, told[found.start() if header else found.end() :]
    return told, ""


def _without_markup(text: str) -> str:
    """The text that HTML shows, line by line."""
    shown: list[str] = []
    at, unseen = 0, ""
    for tag in _TAG.finditer(text):
        name = tag[2].lower()
        if not unseen:
            shown += [text[at : tag.start()], "\n" if name in _BREAKS else " "]
        if name in _UNSEEN and not (unseen and not tag[1]):
            unseen = "" if tag[1] else name
        at = tag.end()
    if not unseen:
        shown.append(text[at:])
    return html.unescape("".join(shown))
