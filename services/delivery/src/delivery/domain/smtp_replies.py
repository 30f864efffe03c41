"""What an SMTP reply means for the message, the contact, the campaign and the route (RFC 5321, 3463, 5248)."""

import re
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Literal

from delivery.domain.reply_wording import Reason, by_detail, plain_words, reason_of_words

FailureClass = Literal["bad_mailbox", "bad_domain", "mailbox_full", "policy", "content", "unsupported_address", "other"]
Phase = Literal["connect", "mail", "rcpt", "data", "body"]

BACKOFF_FIRST = timedelta(minutes=1)
BACKOFF_MOST = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(hours=72)

_ENHANCED = re.compile(r"^\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_ADDRESS = re.compile(r"<?[^\s<>@]+@[^\s<>@]+>?")

_BY_CODE: dict[int, FailureClass] = {556: "bad_domain"}
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
        return Verdict(temporary=True, slow=slow, route=phase == "connect")
    if code in {530, 534, 535, 538} or (phase in {"connect", "mail"} and code in {500, 501, 502, 503, 504}):
        return Verdict(temporary=True, slow=True, route=True)
    if phase == "mail":
        return Verdict(False, "policy")  # the sender is refused, not the recipient
    reason = _by_enhanced(enhanced)
    by_code = _BY_CODE.get(code) if reason is None else None
    if reason in {None, "network"}:  # a 5xx about the network: its words say more
        reason = reason_of_words(plain_words(text))
    return Verdict(False, by_code or _class_of(reason))


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
