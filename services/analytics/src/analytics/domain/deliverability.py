"""What figures of one mailbox provider mean, and what to do about them, in plain words. Pure.

Thresholds: Gmail and Yahoo ask for complaints below 0.1 %, never 0.3 %; sending services warn at 5 % hard bounces.
Below `LEAST` messages figures say nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

LEAST = 200
COMPLAINTS_BAD, COMPLAINTS_HIGH = 0.003, 0.001
BOUNCES_BAD, BOUNCES_HIGH = 0.05, 0.02
REFUSED_HIGH = 0.01
DEFERRED_HIGH = 0.10
FULL_HIGH = 0.03
OPENED_ENOUGH, OPENED_FEW = 0.05, 0.5
# Reasons that say that nobody has the mailbox.
GONE = ("bad_mailbox", "bad_domain")
REFUSALS = ("policy",)

Severity = Literal["act", "watch", "info"]


@dataclass(slots=True)
class Figures:
    """How mail to one provider fared. `bounced` by reason: refused in the dialogue or come back later."""

    provider: str
    sent: int = 0
    delivered: int = 0
    deferred: int = 0
    deferrals: int = 0
    failed: int = 0
    bounced: Counter[str] = field(default_factory=Counter)
    complained: int = 0
    opened: int = 0

    @property
    def tried(self) -> int:
        """Messages that ended one way or the other."""
        return self.sent + self.failed

    def share(self, n: int) -> float:
        """A part of the tried, 0 to 1."""
        return n / self.tried if self.tried else 0.0

    @property
    def open_rate(self) -> float:
        """Messages that a person opened, of the delivered."""
        return self.opened / self.delivered if self.delivered else 0.0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`code` is stable; `params` are for a front end that translates."""

    code: str
    severity: Severity
    what: str
    why: str
    next_step: str
    params: dict[str, float]


def recommend(figures: Figures, others: Sequence[Figures]) -> list[Recommendation]:
    """What to do about one provider, the most urgent first. `others`: all providers, to compare with."""
    if figures.tried < LEAST:
        if not figures.tried:
            return []
        text = f"{figures.provider} got {figures.tried} messages in this time"
        return [
            _made(
                "too_few", "info", text, f"Below {LEAST} messages a rate says nothing.",
                "Look at a longer time.", tried=figures.tried,
            )
        ]  # fmt: skip
    found = [
        *_refusals(figures),
        *_complaints(figures),
        *_bounces(figures),
        *_deferrals(figures),
        *_unseen(figures, others),
    ]
    return sorted(found, key=lambda one: ("act", "watch", "info").index(one.severity))


def _complaints(of: Figures) -> list[Recommendation]:
    share = of.share(of.complained)
    if share < COMPLAINTS_HIGH:
        return []
    bad = share >= COMPLAINTS_BAD
    return [
        _made(
            "complaints", "act" if bad else "watch",
            f"{of.complained} people at {of.provider} said that it is spam ({share:.2%})",
            "Gmail and Yahoo want less than 0.1 %, and put all of a sender's mail into the spam folder from 0.3 % on.",
            "Stop campaigns to people who did not ask for them, write less often, and make the way out easy to see."
            if bad else "Look at which campaign and which source of contacts the complaints come from.",
            share=share,
        )
    ]  # fmt: skip


def _refusals(of: Figures) -> list[Recommendation]:
    n = sum(of.bounced[reason] for reason in REFUSALS)
    share = of.share(n)
    if share < REFUSED_HIGH:
        return []
    return [
        _made(
            "refused_by_policy", "act", f"{of.provider} refused {n} messages by its policy ({share:.1%})",
            "The domain's authentication or its reputation is not good enough there; the people are not to blame.",
            "GET /v1/domains and publish what its checks name; then send less for a few days, to those who read.",
            share=share,
        )
    ]  # fmt: skip


def _bounces(of: Figures) -> list[Recommendation]:
    found = []
    gone = sum(of.bounced[reason] for reason in GONE)
    share = of.share(gone)
    if share >= BOUNCES_HIGH:
        found.append(
            _made(
                "bad_addresses", "act" if share >= BOUNCES_BAD else "watch",
                f"{gone} addresses at {of.provider} do not exist ({share:.1%})",
                "Many dead addresses are how providers know a bought or an old list.",
                "Confirm addresses when they are given, and leave out who has not opened anything for a year.",
                share=share,
            )
        )  # fmt: skip
    full = of.share(of.bounced["mailbox_full"])
    if full >= FULL_HIGH:
        found.append(
            _made(
                "full_mailboxes", "watch",
                f"{of.bounced['mailbox_full']} mailboxes at {of.provider} are full ({full:.1%})",
                "Nobody reads a mailbox that is full: these contacts are gone or going.",
                "Leave out who has not opened anything for half a year.", share=full,
            )
        )  # fmt: skip
    return found


def _deferrals(of: Figures) -> list[Recommendation]:
    share = of.share(of.deferred)
    if share < DEFERRED_HIGH:
        return []
    return [
        _made(
            "deferred", "watch", f"{of.provider} put off {of.deferred} messages ({share:.0%})",
            "It takes mail from this sender more slowly than it comes. Mail is tried again, and nothing is lost.",
            "Send in smaller portions: lower the rate of the route for it, or let a new domain warm up for longer.",
            share=share,
        )
    ]  # fmt: skip


def _unseen(of: Figures, others: Sequence[Figures]) -> list[Recommendation]:
    elsewhere = [one for one in others if one.provider != of.provider]
    delivered, opened = sum(one.delivered for one in elsewhere), sum(one.opened for one in elsewhere)
    if delivered < LEAST or of.delivered < LEAST or opened / delivered < OPENED_ENOUGH:
        return []
    rate = opened / delivered
    if of.open_rate >= OPENED_FEW * rate:
        return []
    return [
        _made(
            "seldom_seen", "watch",
            f"People at {of.provider} open {of.open_rate:.1%}, elsewhere {rate:.1%}",
            "Mail that is taken and not opened lies in the spam folder, as a rule.",
            "Send to those at this provider who opened lately, for two weeks, then widen the circle.",
            open_rate=of.open_rate, elsewhere=rate,
        )
    ]  # fmt: skip


def _made(code: str, severity: Severity, what: str, why: str, next_step: str, **params: float) -> Recommendation:
    return Recommendation(
        code, severity, what, why, next_step, {name: round(value, 6) for name, value in params.items()}
    )
