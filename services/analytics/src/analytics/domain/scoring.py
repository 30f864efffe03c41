"""Lead scores: rules give points for events, points decay by half, a cap bounds what one rule can give.

Pure: the same events in any order give the same score.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`points` for each event of `type`, halved every `half_life_days`; the rule's sum stays within ±`cap`."""

    key: str
    type: str
    points: float
    half_life_days: float
    cap: float


@dataclass(frozen=True, slots=True)
class Scored:
    """An event that may count for a contact."""

    event_id: UUID
    type: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """What one event gives now: `points` when it happened, `decayed` of them left, after the cap."""

    rule: str
    points: float
    decayed: float
    event_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Score:
    """A contact's score with its reasons, the heaviest first."""

    value: float
    grade: str
    reasons: tuple[Reason, ...]


DEFAULT_RULES: tuple[Rule, ...] = (
    Rule("opened", "email.opened", 2.0, 30.0, 20.0),
    Rule("clicked", "email.clicked", 10.0, 30.0, 60.0),
    Rule("unsubscribed", "email.unsubscribed", -40.0, 180.0, 40.0),
)
DEFAULT_GRADES: tuple[tuple[str, float], ...] = (("A", 40.0), ("B", 20.0), ("C", 5.0))
LOWEST_GRADE = "D"


def decayed(points: float, age_s: float, half_life_days: float) -> float:
    """What is left of points after `age_s` seconds; an event of the future counts whole."""
    return points * math.exp2(-max(age_s, 0.0) / (half_life_days * DAY_S))


def grade_of(score: float, grades: Sequence[tuple[str, float]]) -> str:
    """The first grade whose threshold the score reaches; thresholds fall."""
    return next((grade for grade, threshold in grades if score >= threshold), LOWEST_GRADE)


def score(events: Iterable[Scored], rules: Sequence[Rule], grades: Sequence[tuple[str, float]], now: datetime) -> Score:
    """The score of one contact now. A capped rule's reasons are scaled, so that reasons add up to the score."""
    by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        by_type.setdefault(rule.type, []).append(rule)
    found: dict[str, list[Reason]] = {rule.key: [] for rule in rules}
    for event in events:
        age_s = (now - event.at).total_seconds()
        for rule in by_type.get(event.type, ()):
            left = decayed(rule.points, age_s, rule.half_life_days)
            found[rule.key].append(Reason(rule.key, rule.points, left, event.event_id, event.at))
    reasons: list[Reason] = []
    for rule in rules:
        total = sum(reason.decayed for reason in found[rule.key])
        scale = rule.cap / abs(total) if abs(total) > rule.cap else 1.0
        reasons += [Reason(r.rule, r.points, round(r.decayed * scale, 4), r.event_id, r.at) for r in found[rule.key]]
    reasons.sort(key=lambda r: (-abs(r.decayed), r.at, r.event_id))
    value = round(sum(reason.decayed for reason in reasons), 2)
    return Score(value, grade_of(value, grades), tuple(reasons))
