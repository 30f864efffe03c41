"""What an SMTP reply means for the message, the contact, the campaign and the route (RFC 5321, 3463, 5248)."""

import re
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Literal

FailureClass = Literal["bad_mailbox", "bad_domain", "mailbox_full", "policy", "content", "unsupported_address", "other"]
Phase = Literal["connect", "mail", "rcpt", "data", "body"]

BACKOFF_FIRST = timedelta(minutes=1)
BACKOFF_MOST = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(hours=72)

_ENHANCED = re.compile(r"^\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_ADDRESS = re.compile(r"<?[^\s<>@]+@[^\s<>@]+>?")

_BY_ENHANCED: dict[str, FailureClass] = {
    "1.0": "bad_mailbox",
    "1.1": "bad_mailbox",
    "1.3": "bad_mailbox",
    "1.6": "bad_mailbox",
    "1.10": "bad_mailbox",
    "0.1": "bad_mailbox",
    "1.2": "bad_domain",
    "1.9": "unsupported_address",
    "6.7": "unsupported_address",
    "6.8": "unsupported_address",
    "6.9": "unsupported_address",
    "1.7": "policy",
    "1.8": "policy",
    "2.1": "mailbox_full",
    "2.2": "mailbox_full",
    "2.3": "content",
    "3.4": "content",
    "4.4": "bad_domain",
}
_BY_CODE: dict[int, FailureClass] = {556: "bad_domain"}
_WORDS: tuple[tuple[re.Pattern[str], FailureClass], ...] = (
    (
        re.compile(
            r"spf|dkim|dmarc|authentication|reputation|block(ed|list)|blacklist|spam|policy|listed|banned", re.I
        ),
        "policy",
    ),
    (re.compile(r"over ?quota|mailbox (is )?full|quota exceeded|insufficient storage", re.I), "mailbox_full"),
    (
        re.compile(r"too (large|big)|size limit|exceeds.*size|content rejected|virus|malware|attachment", re.I),
        "content",
    ),
    (
        re.compile(r"(domain|host).*(not found|does not exist|unknown)|null mx|does not accept (e-?)?mail", re.I),
        "bad_domain",
    ),
    (
        re.compile(
            r"no such (user|mailbox|recipient|person)|user (is )?unknown|unknown (user|recipient|mailbox|local)"
            r"|(user|mailbox|recipient|account|address).*"
            r"(not found|not exist|doesn'?t exist|unknown|invalid|unavailable|disabled|rejected)"
            r"|invalid (recipient|mailbox|user|address)|not a valid (mailbox|recipient)|no mailbox",
            re.I,
        ),
        "bad_mailbox",
    ),
)


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
    return Verdict(False, _by_enhanced(enhanced) or _BY_CODE.get(code) or _words(text) or "other")


def _by_enhanced(enhanced: str | None) -> FailureClass | None:
    if enhanced is None or not enhanced.startswith("5."):
        return None
    detail = enhanced[2:]
    if detail.startswith("7."):
        return "policy"
    return _BY_ENHANCED.get(detail) or ("content" if detail.startswith("6.") else None)


def _words(text: str) -> FailureClass | None:
    return next((klass for pattern, klass in _WORDS if pattern.search(text)), None)


def backoff(refused_for: timedelta, rng: Random, first: timedelta = BACKOFF_FIRST) -> timedelta:
    """How long to wait after a temporary refusal: as long again as it has been refused, jittered, within limits.

    By age and not by number, so that attempts that never began do not count.
    """
    longest = min(max(refused_for, first), BACKOFF_MOST)
    return longest * rng.uniform(0.5, 1.0)
