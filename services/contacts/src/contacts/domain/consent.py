"""When a contact's consent may change, and to what."""

from typing import Literal

Status = Literal["subscribed", "unsubscribed", "pending", "none"]
STATUSES: tuple[Status, ...] = ("subscribed", "unsubscribed", "pending", "none")


def imported(current: Status | None, wanted: Status, *, suppressed: bool) -> Status | None:
    """What an import may make of a consent; None: leave it as it is.

    A file proves nothing against the person's own word: it never lifts an unsubscription, a pending
    confirmation or a suppression. It may always lower. The statements in db/merge.py say the same set-based.
    """
    if wanted == (current or "none"):
        return None
    if wanted == "unsubscribed":
        return wanted
    if wanted in ("subscribed", "pending") and current in (None, "none") and not suppressed:
        return wanted
    return None
