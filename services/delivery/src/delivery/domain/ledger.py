"""The send ledger's state machine, as pure functions. The SQL in db/ does the same to sets of rows.

pending → attempting(n) → sent | deferred | failed(class) | suppressed(reason) | uncertain | expired | cancelled

Each function gives the message afterwards, or None when the step does not apply. A closed message changes only
by a late outcome of its own attempt (from uncertain), a person's word, or a retry that its policy asks for.
"""

from dataclasses import dataclass, replace
from typing import Literal

Status = Literal[
    "pending", "attempting", "sent", "deferred", "failed", "suppressed", "uncertain", "expired", "cancelled"
]
CampaignState = Literal["running", "paused", "cancelled"]

OPEN: tuple[Status, ...] = ("pending", "attempting", "deferred")
WAITING: tuple[Status, ...] = ("pending", "deferred")
TAKES_OUTCOME: tuple[Status, ...] = ("attempting", "uncertain")
ERASED = "erased"

OutcomeStatus = Literal["sent", "deferred", "failed", "uncertain", "pending"]


@dataclass(frozen=True, slots=True)
class Message:
    """What of a ledger row decides its next state. `erased`: address and fields are blanked."""

    status: Status = "pending"
    attempt: int = 0
    revision: int = 1
    klass: str = ""
    erased: bool = False
    resent: bool = False


def take(message: Message, state: CampaignState, block: str | None, *, waiting: bool = True) -> Message | None:
    """The mark: a waiting message of a running campaign becomes attempting(n + 1), a blocked one suppressed."""
    if message.status not in WAITING or state != "running" or not waiting:
        return None
    reason = ERASED if message.erased else block
    if reason is not None:
        return _move(message, "suppressed", reason)
    return replace(_move(message, "attempting"), attempt=message.attempt + 1)


def settle(message: Message, attempt: int, status: OutcomeStatus, klass: str = "") -> Message | None:
    """The outcome of attempt n: accepted from attempting(n) and uncertain(n), whatever the lease.

    `pending` is the outcome of an attempt that never began its dialogue.
    """
    if message.status not in TAKES_OUTCOME or message.attempt != attempt:
        return None
    if message.status == "uncertain" and status == "uncertain":
        return None
    if message.erased and status in WAITING:
        return _move(message, "suppressed", ERASED)
    return _move(message, status, klass)


def reap(message: Message) -> Message | None:
    """The mailer that marked the message is gone."""
    return _move(message, "uncertain", "mailer_gone") if message.status == "attempting" else None


def cancel(message: Message) -> Message | None:
    """The campaign was cancelled: messages under an intent keep their outcome."""
    return _move(message, "cancelled") if message.status in WAITING else None


def expire(message: Message) -> Message | None:
    """The message's time is over."""
    return _move(message, "expired") if message.status in WAITING else None


def erase(message: Message) -> Message:
    """The person is erased: what waits is suppressed, what is under an intent keeps its outcome, all is blanked."""
    if message.status in WAITING:
        message = _move(message, "suppressed", ERASED)
    return replace(message, erased=True)


def resend(message: Message) -> Message | None:
    """A person, or the policy retry_once, sends an uncertain message again."""
    if message.status != "uncertain" or message.erased:
        return None
    return replace(_move(message, "pending"), resent=True)


def resolve(message: Message, *, delivered: bool) -> Message | None:
    """A person says what became of an uncertain message."""
    if message.status != "uncertain":
        return None
    return _move(message, "sent") if delivered else _move(message, "failed", "other")


def _move(message: Message, status: Status, klass: str = "") -> Message:
    return replace(message, status=status, klass=klass, revision=message.revision + 1)
