"""Was anything lost, doubled, wrongly blocked or told untruly? By identity, from three witnesses.

The sink's log says what arrived; the ledger says what the mailer believes; balance, report and facts say what people
are told. Nothing here is shared with the product: it counts for itself, from rows.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HAVE = ("taken", "kept")  # the server has the mail: it said so, or it could not say so
WAITING = ("pending", "attempting", "deferred")


@dataclass(frozen=True)
class Seen:
    """A line of the sink's log. `verdict`: taken, kept, a reply's code, drop, reset or hang."""

    t: float
    recipient: str | None
    phase: str
    verdict: str
    message_id: str | None = None
    rule: str | None = None
    leave: str | None = None  # where a one-click unsubscribe goes

    @property
    def has(self) -> bool:
        """Whether the server has the mail now."""
        return self.verdict in HAVE


@dataclass(frozen=True)
class Entry:
    """A row of the ledger."""

    message_id: str
    recipient: str
    status: str
    reason: str = ""
    attempts: int = 1


@dataclass(frozen=True)
class Block:
    """Somebody who gets no more mail, and why."""

    recipient: str
    reason: str


@dataclass(frozen=True)
class Evidence:
    """All that is known of one campaign. `wanted`: who should get it, as the bench imported them."""

    wanted: frozenset[str]
    sink: Sequence[Seen]
    ledger: Sequence[Entry]
    balance: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Sequence[str]] = field(default_factory=dict)  # event type → message ids, one per event
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Terms:
    """What the fault may cost. Everything that is not granted here is a violation.

    `uncertain`: how many may be in doubt. `in_doubt`: exactly these are, whatever `uncertain` says. `fails`: who
    may fail, and as what. `blocked`: who may be blocked. `suppressed`: who may be left out when their turn comes.
    `left`: recipient → from when on they get nothing: who left before their mail was on its way.
    """

    uncertain: int = 0
    in_doubt: frozenset[str] | None = None
    doubled: int = 0
    fails: Mapping[str, str] = field(default_factory=dict)
    must_fail: bool = True
    blocked: frozenset[str] = frozenset()
    suppressed: frozenset[str] = frozenset()
    cancelled: bool = False
    left: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What the check found; `violations` in words, none when all held."""

    recipients: int
    arrived: int
    lost: int
    doubled: int
    uncertain: int
    violations: Sequence[str]

    @property
    def held(self) -> bool:
        """Whether everything that was promised held."""
        return not self.violations


def check(found: Evidence, terms: Terms) -> Verdict:
    """Hold the witnesses against one another."""
    said: list[str] = []
    copies: Counter[str] = Counter(seen.recipient for seen in found.sink if seen.has and seen.recipient)
    rows: dict[str, list[Entry]] = defaultdict(list)
    for entry in found.ledger:
        rows[entry.recipient].append(entry)
    tally = Counter(entry.status for entry in found.ledger)

    said += _people(found, rows, copies)
    lost = _lost(found, rows, copies)
    said += _named("lost", lost)
    doubled = {one: n for one, n in copies.items() if n > 1}
    said += _named("doubled", doubled) if sum(n - 1 for n in doubled.values()) > terms.doubled else []
    said += _ids(found)
    said += _statuses(found, terms, rows, copies)
    said += _doubt(found, terms, tally)
    said += _named("blocked", {b.recipient for b in found.blocks} - terms.blocked)
    said += _leavers(found, terms)
    said += _told(found, tally)
    return Verdict(
        len(found.wanted),
        sum(1 for one in found.wanted if copies[one]),
        len(lost),
        sum(n - 1 for n in doubled.values()),
        tally["uncertain"],
        said,
    )


def busiest(times: Sequence[float], span_s: float) -> int:
    """The most that came within any span of so many seconds."""
    found = sorted(times)
    most = start = 0
    for end, t in enumerate(found):
        while t - found[start] >= span_s:
            start += 1
        most = max(most, end - start + 1)
    return most


def _people(found: Evidence, rows: Mapping[str, Sequence[Entry]], copies: Mapping[str, int]) -> list[str]:
    said = _named("in the ledger more than once", {one for one, entries in rows.items() if len(entries) > 1})
    said += _named("in the ledger, and nobody asked for them", rows.keys() - found.wanted)
    return said + _named("mailed, and nobody asked for them", copies.keys() - found.wanted)


def _lost(found: Evidence, rows: Mapping[str, Sequence[Entry]], copies: Mapping[str, int]) -> set[str]:
    """Nobody has their mail, and the books do not say so: no row, a row that still waits, or one that says `sent`."""
    return {
        one
        for one in found.wanted
        if not copies.get(one) and all(entry.status in ("sent", *WAITING) for entry in rows.get(one, ()))
    }


def _ids(found: Evidence) -> list[str]:
    """A mail's Message-ID names its row: one id for one person, whatever the attempt."""
    of_row = {entry.message_id: entry.recipient for entry in found.ledger}
    wrong = {
        seen.recipient or "?"
        for seen in found.sink
        if seen.has and of_row.get(seen.message_id or "") != seen.recipient and seen.recipient in found.wanted
    }
    return _named("mailed under a Message-ID that is not theirs", wrong)


def _statuses(
    found: Evidence, terms: Terms, rows: Mapping[str, Sequence[Entry]], copies: Mapping[str, int]
) -> list[str]:
    words: dict[str, set[str]] = defaultdict(set)
    final: dict[str, Seen] = {}
    for seen in found.sink:
        if seen.recipient:
            final[seen.recipient] = seen
    for one, entries in rows.items():
        for entry in entries:
            has, last = bool(copies.get(one)), final.get(one)
            if entry.status in WAITING:
                words["open, though the books are closed"].add(one)
            elif entry.status == "expired":
                words["expired"].add(one)
            elif entry.status == "cancelled" and (has or not terms.cancelled):
                words["cancelled, and mailed" if has else "cancelled by nobody"].add(one)
            elif entry.status == "suppressed" and (has or one not in terms.suppressed):
                words["suppressed, and mailed" if has else "suppressed without a reason"].add(one)
            elif entry.status == "failed":
                if has:
                    words["called failed, and mailed"].add(one)
                elif last is None or not last.verdict.startswith("5"):
                    words["called failed, though no server refused them for good"].add(one)
                elif terms.fails.get(one) != entry.reason:
                    words[f"failed as {entry.reason}"].add(one)
    if terms.must_fail:
        failed = {entry.recipient for entry in found.ledger if entry.status == "failed"}
        words["refused for good, and not called failed"] |= terms.fails.keys() - failed
    return [line for what, who in words.items() for line in _named(what, who)]


def _doubt(found: Evidence, terms: Terms, tally: Mapping[str, int]) -> list[str]:
    doubt = {entry.recipient for entry in found.ledger if entry.status == "uncertain"}
    if terms.in_doubt is not None:
        return [
            *_named("uncertain without a reason", doubt - terms.in_doubt),
            *_named("in doubt, and nobody says so", terms.in_doubt - doubt),
        ]
    if tally["uncertain"] > terms.uncertain:
        return [f"{tally['uncertain']} uncertain, {terms.uncertain} at most"]
    return []


def _leavers(found: Evidence, terms: Terms) -> list[str]:
    late = {s.recipient for s in found.sink if s.has and s.recipient in terms.left and s.t > terms.left[s.recipient]}
    return _named("mailed after they had left", late)


def _told(found: Evidence, tally: Mapping[str, int]) -> list[str]:
    """What people are told, against the rows."""
    failed = Counter(entry.reason for entry in found.ledger if entry.status == "failed")
    said = []
    for name, told in (("balance", found.balance), ("report", found.report)):
        if not told:
            continue
        said += [
            f"the {name} says {told[status]} {status}, the ledger has {tally[status]}"
            for status in ("sent", "suppressed", "uncertain", "expired")
            if told[status] != tally[status]
        ]
        if {reason: n for reason, n in told["failed"].items() if n} != failed:
            said.append(f"the {name} says {told['failed']} failed, the ledger has {dict(failed)}")
    if found.balance:
        excluded = sum(found.balance["excluded"].values())
        if found.balance["eligible"] != len(found.wanted):
            said.append(f"the balance says {found.balance['eligible']} eligible, {len(found.wanted)} are wanted")
        if found.balance["audience"] != found.balance["eligible"] + excluded or not found.balance["balanced"]:
            said.append(f"the balance does not close: {dict(found.balance)}")
    for status in ("sent", "failed", "suppressed", "uncertain"):
        if status not in found.facts:
            continue
        told_of = Counter(found.facts[status])
        rows = {entry.message_id for entry in found.ledger if entry.status == status}
        said += _named(f"{status}, and analytics was never told", rows - told_of.keys())
        if status in ("sent", "failed"):  # both are for good; the others may have been so on the way
            said += _named(f"analytics was told {status}, and they are not", told_of.keys() - rows)
            said += _named(f"told {status} more than once", {one for one, n in told_of.items() if n > 1})
    return said


def _named(what: str, who: Any) -> list[str]:
    """A line with a few names; none when there is nobody."""
    names = sorted(str(one) for one in who)
    if not names:
        return []
    return [f"{len(names)} {what}: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"]
