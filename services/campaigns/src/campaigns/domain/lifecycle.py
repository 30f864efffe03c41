"""The life of a started campaign: commands give it a wish, events bring facts, the status follows from both.

Facts commute: each is kept by its own revision, and `status` is a function of what is kept, never of the order in
which it came.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

Status = Literal["draft", "scheduled", "running", "pausing", "paused", "completed", "cancelled", "failed"]
Wish = Literal["running", "paused", "cancelled"]
Outcome = Literal["completed", "cancelled", "failed"]
FINISHED: frozenset[Status] = frozenset({"completed", "cancelled", "failed"})


@dataclass(frozen=True, slots=True)
class Totals:
    """Who was asked for, from audience.closed."""

    audience: int
    excluded: Mapping[str, int]
    eligible: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Delivery's absolute counts at one revision of its ledger."""

    revision: int
    state_revision: int = 0
    final: bool = False
    eligible: int | None = None
    rows: int = 0
    sent: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    suppressed: int = 0
    uncertain: int = 0
    expired: int = 0
    cancelled: int = 0
    open: int = 0
    deferred: int = 0

    @property
    def settled(self) -> int:
        """Recipients with an outcome."""
        return self.sent + sum(self.failed.values()) + self.suppressed + self.uncertain + self.expired + self.cancelled


@dataclass(frozen=True, slots=True)
class Hold:
    """Delivery stopped by itself, under this campaign.state revision."""

    state_revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Contacts could not freeze the audience."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Life:
    """Everything about a started campaign that decides its status."""

    workspace_id: UUID
    campaign_id: UUID
    wish: Wish
    state_revision: int
    running_revision: int
    totals: Totals | None = None
    progress: Progress | None = None
    closing: Progress | None = None
    hold: Hold | None = None
    rejection: Rejection | None = None
    outcome: Outcome | None = None
    final_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The books of a campaign; see `balance`."""

    audience: int | None
    excluded: Mapping[str, int]
    eligible: int | None
    sent: int
    failed: Mapping[str, int]
    suppressed: int
    uncertain: int
    expired: int
    cancelled: int
    open: int
    deferred: int
    balanced: bool


def balance(totals: Totals | None, progress: Progress | None) -> Balance:
    """The books as they stand. Eligible recipients that delivery has no row for yet are open.

    Balanced: the audience is known, both sums hold, nothing is open.
    """
    known = progress or Progress(revision=0)
    eligible = totals.eligible if totals else known.eligible
    without_row = max(0, eligible - known.rows) if eligible is not None else 0
    return Balance(
        audience=totals.audience if totals else None,
        excluded=totals.excluded if totals else {},
        eligible=eligible,
        sent=known.sent,
        failed=known.failed,
        suppressed=known.suppressed,
        uncertain=known.uncertain,
        expired=known.expired,
        cancelled=known.cancelled,
        open=known.open + without_row,
        deferred=known.deferred,
        balanced=totals is not None
        and totals.audience == sum(totals.excluded.values()) + totals.eligible
        and totals.eligible == known.rows == known.settled
        and known.open == 0,
    )


def with_totals(life: Life, totals: Totals) -> Life:
    """An audience is frozen once: a repetition changes nothing."""
    return life if life.totals else replace(life, totals=totals)


def with_progress(life: Life, progress: Progress) -> Life:
    """The highest revision stands. Of the final ones whose sum holds the highest is kept too: it closes the books."""
    if life.progress is None or life.progress.revision < progress.revision:
        life = replace(life, progress=progress)
    closes = progress.final and progress.open == 0 and progress.settled == progress.rows
    if closes and (life.closing is None or life.closing.revision < progress.revision):
        life = replace(life, closing=progress)
    return life


def with_hold(life: Life, hold: Hold) -> Life:
    """The hold under the latest state stands; of two under the same state either order gives the same."""
    if life.hold and (life.hold.state_revision, life.hold.reason) >= (hold.state_revision, hold.reason):
        return life
    return replace(life, hold=hold)


def with_rejection(life: Life, rejection: Rejection) -> Life:
    """The first in alphabetical order stands, so that the order of arrival does not matter."""
    if life.rejection and (life.rejection.reason, life.rejection.detail) <= (rejection.reason, rejection.detail):
        return life
    return replace(life, rejection=rejection)


def wished(life: Life, wish: Wish) -> Life:
    """A command: the next revision of the state that delivery obeys."""
    revision = life.state_revision + 1
    running = revision if wish == "running" else life.running_revision
    return replace(life, wish=wish, state_revision=revision, running_revision=running)


def settled(life: Life) -> Life:
    """Close the books if they can be: rejected, or final with both sums holding. Later final revisions re-close."""
    closed = life.closing if life.closing and balance(life.totals, life.closing).balanced else None
    if life.rejection:
        return replace(life, outcome="failed", final_revision=closed.revision if closed else 0)
    if closed is None:
        return life
    # No command is taken after the end, so the wish is the one under which it ended.
    outcome: Outcome = "cancelled" if life.wish == "cancelled" else "completed"
    return replace(life, outcome=outcome, final_revision=closed.revision)


def status(life: Life) -> tuple[Status, str | None, str | None]:
    """The status, and the reason and detail of one that nobody asked for."""
    if life.rejection:
        return "failed", life.rejection.reason, life.rejection.detail
    if life.outcome:
        return life.outcome, None, None
    if life.wish == "cancelled":
        return "cancelled", None, None
    held = life.hold is not None and life.hold.state_revision >= life.running_revision
    reason = life.hold.reason if held and life.hold else None
    if life.wish == "paused":
        confirmed = life.progress is not None and life.progress.state_revision >= life.state_revision
        return ("paused" if confirmed else "pausing"), reason, None
    return ("paused" if held else "running"), reason, None
