"""From what a report says about a recipient to what it means.

`hard` stops mail to an address for good, so it needs two witnesses: words that say the address or domain does not
exist, and one that confirms them: an enhanced code of that meaning, a refusal in answer to RCPT (afterwards a filter
may speak, whatever its words), or the words of a system that names its own list of users. One word for another
reason, or one temporary code, and it is `soft`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from delivery.domain import reply_wording as wording

Kind = Literal["hard", "soft", "complaint", "auto-reply", "delivered", "unsubscribed"]
Phase = Literal["connect", "mail", "rcpt", "data", ""]

_ENHANCED = re.compile(r"(?<![\d.])([45]\.\d{1,2}\.\d{1,3})(?![\d.]*\d)")
_REPLY_BEFORE_ENHANCED = re.compile(r"\b([245]\d\d)[- ]+#?[245]\.\d{1,2}\.\d")
_REPLY = re.compile(
    r"(?<![\w./\[#-])(?<!\d:)"
    r"(250|4\d\d|50[0-4]|51[0-57]|52[135]|53[0458]|54[0-4]|55[0-9]|57[017])"
    r"(?=[- ,;:.)\]'\"]|$)(?![.:]\d)"
)
_DELAYED = re.compile(
    r"\bdelayed\b|\(delay\)|has not (?:yet )?been delivered|not yet been"
    r"|will (?:be retried|continue to (?:try|retry)|keep trying)|still (?:trying|being retried)"
    r"|only a temporary failure|this is a warning|warning message only|do not need to resend"
    r"|delivery attempts will continue",
    re.I,
)
# Up to an empty line, or a line of another reply.
_QUOTED_REPLY = re.compile(r"(?<![\w.:/-])([45]\d\d)[ -](?:[^\n\]]|\n(?![ \t]*(?:\n|(?!\1)[245]\d\d[ -]))){5,600}")
_LIKELY_DETAILS = frozenset({"0.1", "1.0", "1.3"})
_FOR_A_WHILE = tuple(entry for entry in wording.WORDS if entry[0] in {"inactive", "mailbox_full"})
_NULL_MX = re.compile(r"^550 host does not accept mail", re.I)
_DELIVERED = frozenset({"delivered", "relayed", "expanded", "deliverable"})
_GENERIC = re.compile(r"\d\.(?:0\.\d+|\d\.0|5\.\d+|3\.5|4\.7)$")

_PHASES: tuple[tuple[Phase, re.Pattern[str]], ...] = (
    (
        "data",
        re.compile(
            r"end of data|reply to (?:the )?data|after (?:the )?(?:end of )?data|after (?:i|we) sent the message"
            r"|smtp:data|data command|sending message body|\[body\]|>>> (?:data|\.)|\b354 |\(state 1[5-8]\)",
            re.I,
        ),
    ),
    (
        "mail",
        re.compile(
            r"(?:reply to|after|at|our) (?:the )?mail from|does not like (?:the )?(?:envelope )?sender"
            r"|mail from:? (?:command|<)|mail from:<|>>> mail from|smtp:mail|\[mail_from\]",
            re.I,
        ),
    ),
    (
        "rcpt",
        re.compile(
            r"(?:reply to|after|at|our|following) (?:the )?rcpt|does not like (?:the )?recipient"
            r"|rcpt (?:to:? ?)?(?:command|<)|>>> rcpt|rcpt to:<|smtp:rcpt|rejected recipient|has rejected address"
            # The last: a gateway that puts the answer in brackets behind the recipient.
            r"|\(state 1[34]\)|\[rcpt_to\]|<<a@b>> \(<{1,2}a@b>",
            re.I,
        ),
    ),
    (
        "connect",
        re.compile(
            r"initial connection|after connect|greeting|(?:reply to|after|at) (?:the )?(?:helo|ehlo|starttls)"
            r"|connected to .{1,80} but",
            re.I,
        ),
    ),
)
# Older servers say 5.2.1 with these, Exchange Online 5.4.1.
_UNKNOWN = re.compile(r"unknown|no such|not exist|not found|recipient address rejected: access denied", re.I)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one recipient. `words`: the server's; `around`: the report's, about it; `ahead`: about all."""

    action: str = ""
    status: str = ""
    words: str = ""
    around: str = ""
    ahead: str = ""
    subject: str = ""
    category: str = ""
    after_acceptance: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a recipient. Empty text where the report does not say. `delayed`: it is still being tried."""

    kind: Kind
    reason: str
    status: str = ""
    reply: str = ""
    delayed: bool = False


def judge(evidence: Evidence) -> Verdict:
    """The verdict on one recipient."""
    words, around = wording.plain_words(evidence.words), wording.plain_words(evidence.around)
    told = _told(words, evidence)
    status, statuses = _statuses(evidence, told)
    reply = _reply(told) or _reply(around)
    if evidence.action in _DELIVERED or (not evidence.action and evidence.status.startswith("2.")):
        return Verdict("delivered", "delivered", evidence.status, reply)
    reason, hard = _reason(evidence, told, statuses, reply)
    delayed = _delayed(evidence, around)
    hard = hard and not (delayed or reply.startswith("4") or any(one.startswith("4") for one in statuses))
    return Verdict("hard" if hard else "soft", reason, status, reply, delayed)


def _told(words: str, evidence: Evidence) -> str:
    """What to judge by: the field's words if they mean something, else the reply that the text quotes, else all."""
    if wording.reason_of_words(words) not in {None, "system"} or (words and wording.by_detail(evidence.status[2:])):
        return words
    quoted = _QUOTED_REPLY.search(evidence.around)
    if quoted and wording.reason_of_words(said := wording.plain_words(quoted[0])) not in {None, "system"}:
        return said
    said = f"{words} {wording.plain_words(evidence.around)}"
    if wording.reason_of_words(said) is None:
        return f"{wording.plain_words(evidence.ahead)} {said}"
    return said


def _reason(evidence: Evidence, told: str, statuses: list[str], reply: str) -> tuple[str, bool]:
    """The reason, and whether it is one that stops mail for good."""
    by_word = wording.reason_of_words(told)
    by_code = [reason for one in statuses if (reason := wording.by_detail(one[2:]))]
    phase = _phase(evidence)
    if evidence.after_acceptance or phase in {"mail", "connect"}:  # nobody spoke of the recipient
        otherwise = "refused" if evidence.after_acceptance else "policy"
        return by_word if by_word and by_word not in wording.ABOUT_ADDRESS else otherwise, False
    if by_word == "bad_domain" and (reply in {"521", "556"} or _NULL_MX.search(told)):
        return "bad_domain", True
    if (phase == "rcpt" or evidence.category == "bad-mailbox") and by_word == "bad_mailbox" and _UNKNOWN.search(told):
        by_code = [one for one in by_code if one not in {"inactive", "network"}]
    if against := _against(evidence, by_word, by_code):
        return against, False
    reason = by_word or next(iter(by_code), None)
    if reason is None:
        return _unsaid(evidence), False
    if reason == "bad_domain":
        return reason, phase != "data"
    return (reason, True) if _confirmed(evidence, told, by_word, statuses, phase) else ("refused", False)


def _against(evidence: Evidence, by_word: wording.Reason | None, by_code: list[wording.Reason]) -> str | None:
    """A reason that has nothing to do with whether the address exists."""
    found = next((one for one in (by_word, *by_code) if one and one not in wording.ABOUT_ADDRESS), None)
    if found is None and by_word == "bad_mailbox":
        # The report for people may know better than the field for machines.
        said = wording.plain_words(f"{evidence.ahead} {evidence.around}")
        return next((reason for reason, pattern in _FOR_A_WHILE if pattern.search(said)), None)
    return found


def _confirmed(
    evidence: Evidence, told: str, by_word: wording.Reason | None, statuses: list[str], phase: Phase
) -> bool:
    """Whether a second witness says that the address does not exist."""
    details = {one[2:] for one in statuses}
    if details & wording.SURE_DETAILS or (by_word and details & _LIKELY_DETAILS):
        return True
    if by_word is None:
        return False
    return phase == "rcpt" or bool(wording.DIRECTORY.search(told)) or evidence.category == "bad-mailbox"


def _unsaid(evidence: Evidence) -> str:
    return "delayed" if evidence.action == "delayed" else wording.reason_of_words(evidence.subject) or "other"


def _delayed(evidence: Evidence, around: str) -> bool:
    if evidence.action in {"delayed", "failed"}:
        return evidence.action == "delayed"
    return bool(_DELAYED.search(f"{evidence.subject} {evidence.ahead} {around}"))


def _statuses(evidence: Evidence, told: str) -> tuple[str, list[str]]:
    """The code to show, and all codes that mean something: the server's own before the reporter's summary."""
    said = list(dict.fromkeys(_ENHANCED.findall(told)))
    every = [one for one in dict.fromkeys([*said, evidence.status]) if one]
    specific = [one for one in every if not _GENERIC.match(one)]
    return next(iter([*specific, *every]), ""), every


def _reply(text: str) -> str:
    found = _REPLY_BEFORE_ENHANCED.search(text) or _REPLY.search(text)
    return found[1] if found else ""


def _phase(evidence: Evidence) -> Phase:
    """The command that was answered: the last one named ahead of the reply, else the first one behind it."""
    text = wording.plain_words(f"{evidence.around}\n{evidence.words}")
    named = sorted((match.start(), phase) for phase, pattern in _PHASES for match in pattern.finditer(text))
    reply = re.search(r"(?<![\w.:/-])[45]\d\d[ -]", text)
    ahead = [phase for start, phase in named if reply and start < reply.start()]
    return ahead[-1] if ahead else named[0][1] if named else ""
