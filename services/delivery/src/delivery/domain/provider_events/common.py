"""What the providers' modules share."""

import re
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson

from delivery.domain.bounces.classify import Judgement
from delivery.domain.bounces.verdicts import Evidence, Kind, Verdict, judge
from delivery.domain.return_path import Claim

MOST_EVENTS = 10_000
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")


class Forged(Exception):
    """Not signed by whom it claims to be from, or too old. Nobody is told which."""


class Unreadable(ValueError):
    """Signed, and not what this provider sends."""


def text(value: Any, *names: str) -> str:
    """A text within nested objects; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def items(value: Any, *names: str) -> list[Any]:
    """A list within nested objects; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value[:MOST_EVENTS] if isinstance(value, list) else []


def status_in(*texts: str) -> str:
    """The first enhanced status code (RFC 3463)."""
    return next((found[0] for one in texts if (found := _STATUS.search(one))), "")


def refused(words: str, status: str, ahead: str = "") -> Verdict:
    """The verdict on a message that the provider gave up, by the server's words."""
    return judge(Evidence(action="failed", status=status_in(status, words), words=words, ahead=ahead))


def delayed(words: str, status: str) -> Verdict:
    """The verdict on a message that the provider still tries."""
    return judge(Evidence(action="delayed", status=status_in(status, words), words=words))


def softly(verdict: Verdict) -> Verdict:
    """The same where the provider says that the address is not at fault."""
    return replace(verdict, kind="soft")


def plainly(kind: Kind, reason: str) -> Verdict:
    """A verdict that needs no words of a server."""
    return Verdict(kind, reason)


# Left at the provider: everything that the sender writes, or what a message was for.
LEFT_ALL = Verdict("unsubscribed", "everything")
LEFT = Verdict("unsubscribed", "purpose")


def own_id(event: Any) -> str:
    """An id made of all that an event says, for one that has none. Raises Unreadable."""
    try:
        return sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except orjson.JSONEncodeError as error:
        raise Unreadable("the event is nested too deeply, or has a number or character that JSON cannot") from error


def judgement(recipient: str, verdict: Verdict) -> Judgement:
    """What it means for a recipient."""
    return Judgement(recipient[:320], verdict.kind, verdict.status, verdict.reply, verdict.reason, verdict.delayed)


def claims(*found: Iterable[Claim]) -> tuple[Claim, ...]:
    """The best first, each once."""
    return tuple(dict.fromkeys(claim for some in found for claim in some))[:5]
