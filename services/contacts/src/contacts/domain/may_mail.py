"""May we mail? From the line of the ledger that decides, and the suppression that stands, at one time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

Reason = Literal["subscribed", "suppressed", "unsubscribed", "unconfirmed", "no_consent", "expired", "paused", "erased"]


class Row(Protocol):
    """A row by column, such as asyncpg's."""

    def __getitem__(self, column: str) -> Any:
        """The value of a column."""
        ...


_REFUSALS: Mapping[str, tuple[Reason, str]] = {
    "unsubscribed": ("unsubscribed", "The person left on {when}."),
    "pending": ("unconfirmed", "The person was asked to confirm on {when}, and had not."),
    "none": ("no_consent", "There has been no consent since {when}."),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and why in words."""

    may_mail: bool
    reason: Reason
    explanation: str


def decide(line: Row | None, suppression: Row | None, at: datetime, erased_at: datetime | None = None) -> Decision:
    """`line`: the latest of this purpose by then; `suppression`: of the address or its domain."""
    if erased_at is not None and erased_at <= at:
        return _no("erased", f"The person was erased on {_day(erased_at)}; there is no address to write to.")
    if suppression is not None:
        until = f" until {_day(suppression['expires_at'])}" if suppression["expires_at"] else ""
        what = {"address": "The address", "domain": "The address's domain"}[suppression["scope"]]
        since = _day(suppression["at"])
        return _no("suppressed", f"{what} has been suppressed since {since}{until}: {suppression['reason']}.")
    if line is None:
        return _no("no_consent", "Nothing in the ledger says that the person agreed.")
    return _said(line, f"{_day(line['happened_at'] or line['at'])} ({line['source']}, told by {line['actor']})", at)


def _said(line: Row, when: str, at: datetime) -> Decision:
    if line["status"] in _REFUSALS:
        reason, words = _REFUSALS[line["status"]]
        return _no(reason, words.format(when=when))
    if line["expires_at"] is not None and line["expires_at"] <= at:
        return _no("expired", f"The consent of {when} counted until {_day(line['expires_at'])}.")
    if line["paused_until"] is not None and line["paused_until"] > at:
        return _no("paused", f"The person paused on {when}, until {_day(line['paused_until'])}.")
    given = "concluded from what the person did" if line["express"] is False else "given"
    basis = f", on the basis of {line['basis'].replace('_', ' ')}" if line["basis"] else ""
    return Decision(True, "subscribed", f"Consent was {given} on {when}{basis}.")


def _no(reason: Reason, explanation: str) -> Decision:
    return Decision(False, reason, explanation)


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
