"""What came back of a message: whom it is about, and what it may change.

A report is mail by a stranger. It is believed about one message, and only if it shows something that went out with
that message: an address or link that we signed, or else its Message-ID, its recipient's address, and in time. What can
stop somebody's mail needs more: what only servers see. Message-ID and recipient stand in every answer to all, the link
in every copy passed on; the envelope sender does not, and real servers send their reports to it (RFC 5321 §4.5.5). A
complaint may show the link, which lets whoever has it unsubscribe the recipient anyhow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal
from uuid import UUID, uuid5

from common.contracts.addresses import InvalidAddress, normalise_address

from delivery.domain.bounces.automatic import author, is_by_machine
from delivery.domain.bounces.classify import Judgement, judge_report
from delivery.domain.bounces.fields import ADDRESS, fields_of, unescaped
from delivery.domain.bounces.mime import Part, read_mails
from delivery.domain.bounces.report import Report, inmost, read_report
from delivery.domain.bounces.verdicts import Kind
from delivery.domain.claims import Matcher
from delivery.domain.return_path import Claim, Proof

ReturnKind = Literal[Kind, "reply"]

BOUNCE_WITHIN = timedelta(days=15)  # servers try for five days, some for ten
ANSWER_WITHIN = timedelta(days=120)  # people complain and reply when they read
_NAMESPACE = UUID("0a6f4a86-9c1c-53a5-8a3f-52c3f1a4a6f4")
_SENT_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc")
_ENVELOPE_OF_COMPLAINED = frozenset({"original-mail-from", "original-envelope-id"})  # RFC 5965 §3.2
_MOST_CLAIMS = 5
_ANSWERS = frozenset({"reply", "auto-reply"})
# What says by itself which message it is about: for an answer, and for any report.
_ANSWER_SHOWS: frozenset[Proof] = frozenset({"path", "link", "reply"})
_REPORT_SHOWS: frozenset[Proof] = frozenset({"path", "link"})
# What is enough to stop mail.
_PROVES: dict[str, frozenset[Proof]] = {
    "complaint": _REPORT_SHOWS, "unsubscribed": frozenset(),
    **dict.fromkeys(("hard", "soft", "delivered"), frozenset[Proof]({"path"})),
}  # fmt: skip
_OF_MAILBOX = frozenset({"bad_mailbox", "bad_domain", "moved", "mailbox_full", "inactive"})
_WENT_OUT = frozenset({"sent", "uncertain"})


@dataclass(frozen=True, slots=True)
class Returned:
    """One mail or provider's event. `id` is the same when it comes again; `claims`, what it may be about, best first.

    Without `judgements` it is a person's answer, by `author`, or nothing that is known. Only an answer keeps its
    `mail`, and the addresses it was `sent_to`. `vouched`: a provider told it, whose signature or password was checked.
    """

    id: UUID
    source: str
    judgements: tuple[Judgement, ...]
    claims: tuple[Claim, ...]
    author: str = ""
    sent_to: frozenset[str] = frozenset()
    mail: bytes = b""
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The message that a claim names, as the ledger has it. `email` is None once its person is erased."""

    email: str | None
    status: str
    attempt: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What is kept of a return. Only what `counts` changes anything; only what is `proven` may stop mail."""

    kind: ReturnKind
    reason: str
    status: str = ""
    reply: str = ""
    delayed: bool = False
    counts: bool = False
    proven: bool = False


def returned_id(*parts: str) -> UUID:
    """The id of what comes with an identity of its own, such as a provider's event."""
    return uuid5(_NAMESPACE, "\0".join(parts))


def read_returns(raw: bytes, envelope: Iterable[str], matcher: Matcher, source: str) -> list[Returned]:
    """Each mail in these bytes. `envelope`: whom it was delivered to, if that is known.

    Raises BounceTooLarge and BounceTooManyParts, and nothing else, whatever the bytes.
    """
    mails = list(read_mails(raw))
    return [_read(mail, list(envelope), matcher, source, raw if len(mails) == 1 else b"") for mail in mails]


def decide(returned: Returned, claim: Claim | None, sent: Sent | None, now: datetime) -> Decision:
    """What a return means for the message it claims to be about."""
    said = _about(returned.judgements, sent)
    if said is None:
        human = bool(returned.author) and sent is not None
        decision = Decision("reply" if human else "auto-reply", "human" if human else "unknown")
        named = _same(returned.author, sent)
    else:
        decision = Decision(said.kind, said.reason, said.status, said.reply, said.delayed)
        named = _same(said.recipient, sent)
    if claim is None or sent is None or (decision.kind == "unsubscribed" and not named):
        return decision
    within = BOUNCE_WITHIN if decision.kind in {"hard", "soft", "delivered"} else ANSWER_WITHIN
    if now - sent.sent_at > within and decision.kind != "unsubscribed":
        return decision
    shown = claim.proof in (_ANSWER_SHOWS if decision.kind in _ANSWERS else _REPORT_SHOWS)
    if not (sent.attempt > 0 if shown else named and sent.status in _WENT_OUT):
        return decision
    if returned.vouched or claim.proof in _PROVES.get(decision.kind, _ANSWER_SHOWS):
        return replace(decision, counts=True, proven=True)
    if decision.kind == "hard":
        return replace(decision, kind="soft", reason="unproven", counts=True)
    return replace(decision, counts=decision.kind not in {"complaint", "unsubscribed"})


def _read(mail: Part, envelope: Sequence[str], matcher: Matcher, source: str, raw: bytes) -> Returned:
    report = read_report(inmost(mail))
    judgements = tuple(judge_report(report))
    claims = tuple(dict.fromkeys(_claims(mail, report, envelope, matcher)))[:_MOST_CLAIMS]
    by = "" if judgements or is_by_machine(report) else author(report)
    if not by:
        return Returned(_id_of(mail), source, judgements, claims)
    return Returned(_id_of(mail), source, (), claims, by, _addressed(mail, envelope), raw)


def _addressed(mail: Part, envelope: Sequence[str]) -> frozenset[str]:
    found = [*envelope]
    for name in _SENT_TO:
        found += [address for value in mail.headers.all(name) for address in ADDRESS.findall(value)[:20]]
    return frozenset(filter(None, map(_normal, found)))


def _id_of(mail: Part) -> UUID:
    """By what its author wrote, not by the traces of its way here."""
    digest = sha256()
    for name in ("message-id", "date", "from", "subject"):
        digest.update(mail.headers.get(name).encode("utf-8", "replace") + b"\0")
    for leaf in mail.leaves():
        digest.update(leaf.body.strip() + b"\0")
    return returned_id(digest.hexdigest())


def _claims(mail: Part, report: Report, envelope: Sequence[str], matcher: Matcher) -> Iterable[Claim]:
    """The best first."""
    returned = report.returned
    for address in envelope:
        yield from matcher.by_address(address)
    for name in _SENT_TO:
        for value in (*mail.headers.all(name), *report.headers.all(name)):
            yield from matcher.by_address(value)
    yield from matcher.by_address(returned.get("return-path"))
    for name, value in fields_of(report.feedback):
        if name in _ENVELOPE_OF_COMPLAINED:  # all that is left where a provider hides who complained
            yield from matcher.by_address(value)
    yield from matcher.by_link(returned.get("list-unsubscribe"))
    yield from matcher.by_message_id(returned.get("message-id"))
    for name in ("in-reply-to", "references"):
        yield from matcher.by_message_id(report.headers.get(name))


def _about(judgements: Sequence[Judgement], sent: Sent | None) -> Judgement | None:
    """What is said of the message's recipient. Of several strangers: the mildest, which costs nobody their mail."""
    own = [one for one in judgements if _same(one.recipient, sent)]
    others = (_of_another(one, sent) for one in judgements)
    return min(own or others, key=lambda one: one.kind == "hard", default=None)


def _of_another(said: Judgement, sent: Sent | None) -> Judgement:
    """What is said of an address at another domain: the recipient has mail forwarded there, and may read it at home.

    Within their own domain, or one above or below it, it is their mailbox by another name. Servers that rewrite more
    than that can say whom the mail was for (Original-Recipient, RFC 3464 §2.3.1), and then it is the recipient's own.
    """
    there, home = _domain(said.recipient), _domain(sent.email or "") if sent is not None else ""
    if not there or not home or f".{there}".endswith(f".{home}") or f".{home}".endswith(f".{there}"):
        return said
    if said.kind == "hard" or (said.kind == "soft" and said.reason in _OF_MAILBOX):
        return replace(said, kind="soft", reason="forwarded")
    return said


def _same(address: str, sent: Sent | None) -> bool:
    if sent is None or sent.email is None:
        return False
    there = _normal(address)
    return there != "" and there in {_normal(sent.email), _normal(unescaped(sent.email))}


def _domain(address: str) -> str:
    return _normal(address).rpartition("@")[2]


def _normal(address: str) -> str:
    try:
        return normalise_address(address)
    except InvalidAddress:
        return ""
