"""What an SMTP reply means for the message, the contact, the campaign and the route (RFC 5321, 3463, 5248)."""

import re
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Literal

from delivery.domain.reply_wording import (
    ABOUT_ADDRESS,
    SURE_DETAILS,
    Reason,
    by_detail,
    plain_words,
    reason_of_words,
)

FailureClass = Literal["bad_mailbox", "bad_domain", "mailbox_full", "policy", "content", "unsupported_address", "other"]
Phase = Literal["connect", "mail", "rcpt", "data", "body"]

BACKOFF_FIRST = timedelta(minutes=1)
BACKOFF_MOST = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(hours=72)

_ENHANCED = re.compile(r"^\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_ADDRESS = re.compile(r"<?[^\s<>@]+@[^\s<>@]+>?")

# Of our speed, and not of one mailbox's, one mail's or a stranger's first try. Amazon SES sends no code with it.
_LESS = re.compile(
    r"\bthrottl|\brate[- ]?limit|\bslow(?:ing)? down|\btoo (?:fast|many (?:messages|e?-?mails|connections|sessions))\b"
    r"|\b(?:sending|message|connection|delivery) rate\b|\bunusual rate",
    re.I,
)
_OF_RECIPIENT = ("4.1.", "4.2.")
_TRY_AGAIN = re.compile(r"\b(?:gr[ea]y-?list|try(?: again)? later|temporar)", re.I)
# The ledger's classes are fewer than the reasons that servers name.
_CLASSES: dict[Reason, FailureClass] = {
    "bad_mailbox": "bad_mailbox",
    "moved": "bad_mailbox",
    "bad_domain": "bad_domain",
    "mailbox_full": "mailbox_full",
    "inactive": "mailbox_full",
    "policy": "policy",
    "content": "content",
    "unsupported_address": "unsupported_address",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`temporary`: try again. `slow`: the provider asks for less. `route`: our own way out is at fault."""

    temporary: bool
    klass: FailureClass = "other"
    slow: bool = False
    route: bool = False


def enhanced_code(text: str) -> str | None:
    """The enhanced status code a reply begins with, if any."""
    found = _ENHANCED.match(text)
    return ".".join(found.groups()) if found else None


def without_addresses(text: str) -> str:
    """The first line of a reply, shortened, with addresses taken out: it is kept and published."""
    line = text.splitlines()[0] if text else ""
    return _ADDRESS.sub("<address>", line)[:200]


def classify(code: int, text: str, phase: Phase) -> Verdict:
    """What a refusal means. 4xx is temporary, whatever it says; 5xx by enhanced code, then by code and words."""
    enhanced = enhanced_code(text)
    if 400 <= code < 500:
        slow = code == 421 or (enhanced or "").startswith("4.7") or phase in {"mail", "connect"}
        slow = slow or (not (enhanced or "").startswith(_OF_RECIPIENT) and bool(_LESS.search(plain_words(text))))
        return Verdict(temporary=True, slow=slow, route=phase == "connect")
    if code in {530, 534, 535, 538} or (phase in {"connect", "mail"} and code in {500, 501, 502, 503, 504}):
        return Verdict(temporary=True, slow=True, route=True)
    if phase == "mail":
        return Verdict(False, "policy")  # the sender is refused, not the recipient
    return Verdict(False, _class_of(_reason(code, enhanced, plain_words(text), phase)))


def _reason(code: int, enhanced: str | None, words: str, phase: Phase) -> Reason | None:
    """Why for good. That nobody is there stops all mail to an address, so it needs two witnesses, as in a report.

    Servers send 5.1.1 for whatever they refuse, and say in words what it is; after the body a filter may speak.
    """
    by_code, by_word = _by_enhanced(enhanced), reason_of_words(words)
    found = by_code if by_code not in {None, "network"} else by_word  # a 5xx about the network: its words say more
    if found not in ABOUT_ADDRESS:
        return found if found is not None or code != 556 else "bad_domain"
    if by_word is not None and by_word not in ABOUT_ADDRESS:
        return by_word
    sure = (enhanced or "")[2:] in SURE_DETAILS
    if _TRY_AGAIN.search(words):
        return None
    if found == "bad_domain":
        return found if phase == "rcpt" else None
    if phase == "rcpt":
        return found if sure or by_word is not None else None
    return found if sure and by_word is not None else None


def is_full(enhanced: str | None, text: str | None) -> bool:
    """Whether the last word about a recipient was that its mailbox is full, or asleep."""
    reason = by_detail(enhanced[2:]) if enhanced else None
    return _class_of(reason or reason_of_words(plain_words(text or ""))) == "mailbox_full"


def _by_enhanced(enhanced: str | None) -> Reason | None:
    return by_detail(enhanced[2:]) if enhanced and enhanced.startswith("5.") else None


def _class_of(reason: Reason | None) -> FailureClass:
    return _CLASSES.get(reason, "other") if reason else "other"


def backoff(refused_for: timedelta, rng: Random, first: timedelta = BACKOFF_FIRST) -> timedelta:
    """How long to wait after a temporary refusal: as long again as it has been refused, jittered, within limits.

    By age and not by number, so that attempts that never began do not count.
    """
    longest = min(max(refused_for, first), BACKOFF_MOST)
    return longest * rng.uniform(0.5, 1.0)
