"""What one mailer may mark now, over which routes: claimed in the transaction that marks it, so that all keep it.

While there are no routes of workspaces, limits or plans, and no provider has asked for less, none of this touches the
database.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

import asyncpg
from common.clock import Clock
from common.db.pool import Connection

from delivery.db import budgets, mailings, marks, warmups
from delivery.db.budgets import Key, Locked
from delivery.db.marks import Allowance, Quota
from delivery.domain import limits
from delivery.domain.pacing import Pace
from delivery.domain.providers import PROVIDERS
from delivery.domain.warmup import spellings
from delivery.smtp.pool import Line, Pool, line_of
from delivery.smtp.route import PLATFORM, Route
from delivery.use_cases.ways import Ways

# So many messages wait for each connection of a limited number, so that it need not wait for the next claim.
PER_CONNECTION = 8
NO_PLANS = warmups.Plans({}, [])

# A warm-up's workspace and domain, and a day of it.
Day = tuple[UUID, str, date]


@dataclass(frozen=True, slots=True)
class Marked:
    """A marked message, and how it goes. `at`: not before (monotonic); `day`: the day of a warm-up it counts for."""

    row: asyncpg.Record
    route: Route | None = None
    bucket: str = limits.REST
    at: float | None = None
    day: Day | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """What may go to one provider over the route whose turn it is.

    `group`: turns of the same group share `room`. `timed`: the budget whose slots say when; `counted`: one that says
    only how many. `weights`: of the routes that could have had this turn.
    """

    route: Route
    bucket: str
    group: tuple[object, ...]
    room: int
    quota: int
    timed: Key | None = None
    counted: Key | None = None
    weights: Mapping[UUID, int] = field(default_factory=dict)


Turns = dict[tuple[UUID, str], _Turn]


@dataclass(slots=True)
class _Claim:
    """The budgets one claim holds, and how many connections other mailers have. `asked_at`: now, monotonic."""

    held: dict[Key, Locked]
    others: Mapping[Key, int]
    asked_at: float

    def rate(self, key: Key, limit: float | None) -> float | None:
        """Messages a second now; None: as many as there are."""
        return self.held[key].pace.rate(self.held[key].now, limit)

    def slots(self, key: Key, rate: float | None) -> int | None:
        """How many slots are free; None: as many as there are."""
        pace, now = self.held[key].pace, self.held[key].now
        if pace.paused_until > now:
            return 0
        return None if rate is None else pace.slots(now, rate)


class Shaping:
    """One mailer's part in what all keep."""

    def __init__(self, ways: Ways, pool: Pool, clock: Clock | None = None) -> None:
        self._ways = ways
        self._pool = pool
        self._clock = clock
        self._under_way: Counter[Line] = Counter()
        self._most: dict[Line, int] = {}
        self._leased: set[Key] = set()
        self._refunds: Counter[Day] = Counter()
        # A provider asked for less, and it is not yet known to all.
        self.hushed: set[Key] = set()

    def began(self, line: Line) -> None:
        """A message is marked."""
        self._under_way[line] += 1

    def ended(self, line: Line) -> None:
        """Its outcome is known."""
        self._under_way[line] -= 1

    def most(self, line: Line) -> int | None:
        """How many connections of this line may stand; None: as many as there can be."""
        return self._most.get(line)

    def may_open(self, line: Line) -> bool:
        """Whether one more connection of this line may be in use."""
        most = self._most.get(line)
        return most is None or self._pool.used(line) < most

    def scarce(self) -> frozenset[Line]:
        """Lines whose connections other mailers may want."""
        return frozenset(self._most)

    def refund(self, day: Day) -> None:
        """A message that was counted for a day of a warm-up was not sent on it."""
        self._refunds[day] += 1

    async def take(self, tx: Connection, mailer_id: UUID, epoch: int, limit: int) -> list[Marked]:
        """Mark up to `limit` messages. Budgets and plans are locked before mailings, and never waited for."""
        claim = _Claim({}, {}, time.monotonic())
        if self._ways.budgets:
            claim.held = await budgets.lock(tx, PLATFORM)
            claim.asked_at = time.monotonic()
            if any(limit.connections for _, _, limit in self._ways.limited.values()):
                claim.others = await budgets.connections(tx, mailer_id)
        plans = NO_PLANS
        if self._ways.warming:
            plans = await warmups.lock(tx, self._clock.now() if self._clock else None)
        own = self._ways.own
        ways = [PLATFORM, *(await mailings.active_among(tx, own) if own else [])]
        turns = self._turns(claim, ways, limit)
        rows = []
        if turns:
            quotas, warm = _quotas(turns), _allowances(plans)
            rows = await marks.take(tx, mailer_id, epoch, limit, quotas, own, warm)
        marked = [Marked(row) if row["status"] != "attempting" else _marked(row, turns, plans) for row in rows]
        if claim.held:
            marked = await self._spend(tx, claim, turns, marked)
            await self._lease(tx, mailer_id, epoch, claim, marked)
        if plans.held:
            await self._count_days(tx, plans, marked)
        self._share(turns, marked)
        return marked

    def _turns(self, claim: _Claim, ways: Iterable[UUID], limit: int) -> Turns:
        turns: Turns = {}
        for way in ways:
            working = self._ways.working(way)
            for provider in PROVIDERS if working else ():
                options = {}
                for route in working:
                    turn = self._turn(claim, route, provider, limit)
                    if turn is not None:
                        options[route.id] = turn
                if options:
                    weights = {route_id: turn.route.weight for route_id, turn in options.items()}
                    chosen = self._ways.shares.next(weights)
                    turns[(way, provider)] = replace(options[chosen], weights=weights)
        return turns

    def _turn(self, claim: _Claim, route: Route, provider: str, limit: int) -> _Turn | None:
        """What could go over this route to this provider; None: nothing now."""
        bucket = limits.bucket_of(route.limits, provider)
        own, of_bucket = (route.workspace_id, route.id, provider), (route.workspace_id, route.id, bucket)
        if own in self.hushed:
            return None
        room = quota = limit
        group: tuple[object, ...] = (route.id, provider)
        timed = counted = None
        cap = limits.limit_of(route.limits, bucket)
        if cap.is_shared or (own == of_bucket and self._known(claim, own)):
            if of_bucket not in claim.held:
                return None
            group = of_bucket
            rate = claim.rate(of_bucket, cap.per_second)
            slots = claim.slots(of_bucket, rate)
            if slots is not None:
                room, timed = min(room, slots), of_bucket
            if cap.connections is not None:
                room = min(room, self._connections(claim, route, of_bucket, cap.connections))
        if own != of_bucket and self._known(claim, own):
            if own not in claim.held:
                return None
            slots = claim.slots(own, claim.rate(own, None))
            if slots is not None:
                quota, counted = min(quota, slots), own
        if route.allowed is not None and not route.direct and not self._ways.breaker(route).proven:
            # Of a host that a user named nothing is known before it was connected to: one message shows it.
            group, room = (route.id,), min(room, 1 - self._of_route(route))
        quota = min(quota, room)
        return None if quota < 1 else _Turn(route, bucket, group, room, quota, timed, counted)

    def _known(self, claim: _Claim, key: Key) -> bool:
        return key in claim.held or key in self._ways.budgets

    def _connections(self, claim: _Claim, route: Route, key: Key, cap: int) -> int:
        """How many messages for the connections that the other mailers leave."""
        line = line_of(route, key[2])
        self._most[line] = max(0, cap - claim.others.get(key, 0))
        return self._most[line] * PER_CONNECTION - self._under_way[line]

    def _of_route(self, route: Route) -> int:
        return sum(n for line, n in self._under_way.items() if line[:2] == (route.id, route.revision))

    async def slot_again(self, tx: Connection, route: Route, bucket: str) -> float | None:
        """Another slot for a message that missed its own, if one is near: when (monotonic)."""
        key = (route.workspace_id, route.id, bucket)
        held = await budgets.lock_one(tx, key)
        now = time.monotonic()
        if held is None:
            return now
        rate = held.pace.rate(held.now, limits.limit_of(route.limits, bucket).per_second)
        if rate is None:
            return now
        if not held.pace.slots(held.now, rate):
            return None
        pace, (slot,) = held.pace.taken(held.now, rate, 1)
        await budgets.store(tx, {key: pace})
        return now + slot - held.now

    async def _spend(self, tx: Connection, claim: _Claim, turns: Turns, marked: list[Marked]) -> list[Marked]:
        """Give each message its slot, and take the slots from the budgets."""
        timed: dict[Key, list[int]] = {}
        counted: Counter[Key] = Counter()
        for n, one in enumerate(marked):
            turn = turns[(one.row["way"], one.row["provider"])] if one.route is not None else None
            if turn is not None and turn.timed is not None:
                timed.setdefault(turn.timed, []).append(n)
            if turn is not None and turn.counted is not None:
                counted[turn.counted] += 1
        paces: dict[Key, Pace] = {}
        result = list(marked)
        for key, places in timed.items():
            route = marked[places[0]].route
            rate = claim.rate(key, limits.limit_of(route.limits, key[2]).per_second if route else None) or 1.0
            paces[key], slots = claim.held[key].pace.taken(claim.held[key].now, rate, len(places))
            for place, slot in zip(places, slots, strict=True):
                result[place] = replace(marked[place], at=claim.asked_at + slot - claim.held[key].now)
        for key, n in counted.items():
            paces[key], _ = claim.held[key].pace.taken(claim.held[key].now, claim.rate(key, None) or 1.0, n)
        if paces:
            await budgets.store(tx, paces)
        free = [key for key, one in claim.held.items() if self._is_free(key, one)]
        if free:
            await budgets.drop(tx, free)
            self._ways.budgets -= set(free)
        return result

    def _is_free(self, key: Key, one: Locked) -> bool:
        """Nobody limits it, and the provider's refusal is long ago."""
        return (
            one.pace.paused_until <= one.now and one.pace.rate(one.now, None) is None and key not in self._ways.limited
        )

    async def _lease(self, tx: Connection, mailer_id: UUID, epoch: int, claim: _Claim, marked: list[Marked]) -> None:
        """Hold as many connections as there are messages for, or as are open."""
        new = Counter(line_of(one.route, one.bucket) for one in marked if one.route is not None)
        leases: dict[Key, int] = {}
        for key in claim.held.keys() & self._ways.limited.keys():
            route, bucket, limit = self._ways.limited[key]
            line = line_of(route, bucket)
            if limit.connections is None:
                continue
            wanted = max(self._under_way[line] + new[line], self._pool.open(line))
            n = min(wanted, self._most.get(line, 0))
            if n or key in self._leased:
                leases[key] = n
        if leases:
            await budgets.lease(tx, mailer_id, epoch, leases)
            self._leased = (self._leased - leases.keys()) | {key for key, n in leases.items() if n}

    async def _count_days(self, tx: Connection, plans: warmups.Plans, marked: list[Marked]) -> None:
        counted = Counter(one.day for one in marked if one.day is not None)
        changed = {}
        for key, plan in plans.held.items():
            day = (*key, plan.day)
            change = counted[day] - self._refunds.pop(day, 0)
            if change:
                changed[key] = replace(plan, used=max(0, plan.used + change))
        if changed:
            await warmups.store(tx, changed)
        self._refunds = Counter({day: n for day, n in self._refunds.items() if plans.held.get(day[:2]) is None})

    def _share(self, turns: Turns, marked: list[Marked]) -> None:
        for (_, provider), turn in turns.items():
            if len(turn.weights) > 1:
                n = sum(one.route is turn.route and one.row["provider"] == provider for one in marked)
                self._ways.shares.gave(turn.weights, turn.route.id, n)


def _quotas(turns: Turns) -> list[Quota]:
    groups = {group: n for n, group in enumerate(dict.fromkeys(turn.group for turn in turns.values()))}
    return [Quota(provider, turn.quota, groups[turn.group], turn.room, way) for (way, provider), turn in turns.items()]


def _allowances(plans: warmups.Plans) -> list[Allowance]:
    """A plan that another mailer holds allows nothing in this turn."""
    found = []
    for n, (workspace_id, domain) in enumerate(plans.domains):
        plan = plans.held.get((workspace_id, domain))
        left = 0 if plan is None else plan.left
        if left is not None:
            found += [Allowance(workspace_id, spelt, n, left) for spelt in spellings(domain)]
    return found


def _marked(row: asyncpg.Record, turns: Turns, plans: warmups.Plans) -> Marked:
    turn = turns[(row["way"], row["provider"])]
    day = None
    if row["plan"] is not None:
        key = plans.domains[row["plan"]]
        day = (*key, plans.held[key].day) if key in plans.held else None
    return Marked(row, turn.route, turn.bucket, day=day)
