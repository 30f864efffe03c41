"""Which clicks machines made, by rules that need to see a message's other clicks and when it was sent.

Pure: the same clicks in any order get the same verdicts, so that they may be judged again, and by other rules. The
tracker's own rules, which need no state, come first and are never overturned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

HIDDEN_LINK = "hidden_link"


@dataclass(frozen=True, slots=True)
class Rules:
    """Raise the revision with any change: every click is then judged again."""

    revision: int = 1
    fast_s: float = 1.5  # nobody reads and clicks within that time after sending
    burst_s: float = 2.0  # nor follows so many links in that time
    burst_links: int = 3
    hidden_s: float = 60.0  # a scanner's visit, which the link that no person sees shows, takes at most so long


@dataclass(frozen=True, slots=True)
class Click:
    """One click of a message. `told`: the tracker's rule. `composed_at`: when the mail was made, in whole seconds."""

    event_id: UUID
    at: datetime
    link: int
    told: str | None = None
    composed_at: datetime | None = None


def judge(clicks: Sequence[Click], sent_at: datetime | None, rules: Rules) -> dict[UUID, str | None]:
    """Event → the rule by which it is a machine's, None for a person's. All clicks of one message."""
    hits = [click.at for click in clicks if click.told == HIDDEN_LINK]
    bursts = _bursts(clicks, rules)
    return {
        click.event_id: click.told
        or ("fast_click" if _fast(click, sent_at, rules) else None)
        or ("many_links" if click.event_id in bursts else None)
        or (HIDDEN_LINK if any(_apart_s(click.at, hit) <= rules.hidden_s for hit in hits) else None)
        for click in clicks
    }


def _fast(click: Click, sent_at: datetime | None, rules: Rules) -> bool:
    return any(
        begun is not None and (click.at - begun).total_seconds() < rules.fast_s
        for begun in (sent_at, click.composed_at)
    )


def _bursts(clicks: Sequence[Click], rules: Rules) -> set[UUID]:
    """Clicks in any stretch of `burst_s` that has `burst_links` different links."""
    ordered = sorted(clicks, key=lambda click: (click.at, click.event_id))
    found: set[UUID] = set()
    first = 0
    for last, click in enumerate(ordered):
        while (click.at - ordered[first].at).total_seconds() > rules.burst_s:
            first += 1
        stretch = ordered[first : last + 1]
        if len({one.link for one in stretch}) >= rules.burst_links:
            found |= {one.event_id for one in stretch}
    return found


def _apart_s(one: datetime, other: datetime) -> float:
    return abs((one - other).total_seconds())
