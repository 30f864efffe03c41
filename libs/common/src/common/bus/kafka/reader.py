"""A reader over all topics of a consumer: the highest lane has a member of its own."""

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import TopicPartition

from common.bus.kafka.member import Member
from common.bus.kafka.options import KafkaOptions, Timing
from common.bus.kafka.records import lane_of, polled
from common.bus.port import Polled

URGENT = ".lane0"
# What an import fills by the million; everything else goes before them.
IMPORTS = frozenset(("lead.created", "lead.updated"))
_STEP_S = (0.005, 0.05)


def groups_of(group: str, topics: Iterable[str]) -> dict[str, list[str]]:
    """The groups that a consumer has at the broker, with their topics: lane 0 apart."""
    urgent = sorted(topic for topic in set(topics) if lane_of(topic) == 0)
    others = sorted(set(topics) - set(urgent))
    return {name: read for name, read in ((group + URGENT, urgent), (group, others)) if read}


class KafkaReader:
    """Reads lane 0 first, keeps a share of each batch for the others, and pauses imports while lane 0 lags.

    The two members are in groups of their own at the broker (`<group>` and `<group>.lane0`), so that a rebalance
    of the one does not stop the other. The consumer's database knows them as one, by source.
    """

    def __init__(
        self, options: KafkaOptions, group: str, topics: Sequence[str], *, timing: Timing | None = None
    ) -> None:
        self._prefix = options.prefix
        timing = timing or Timing()
        parts = groups_of(group, topics)
        urgent, others = parts.get(group + URGENT, []), parts.get(group, [])
        self._urgent = Member(options, group + URGENT, urgent, timing) if urgent else None
        self._bulk = Member(options, group, others, timing) if others else None
        self._members = [member for member in (self._urgent, self._bulk) if member is not None]
        self._imports = frozenset(self._prefix + topic for topic in IMPORTS.intersection(others))
        self._normal = frozenset(self._prefix + topic for topic in others) - self._imports
        self._held_back = False

    async def assignment(self) -> frozenset[str]:
        """The sources this member reads now."""
        held = await asyncio.gather(*(member.held() for member in self._members))
        return frozenset(self._source(place) for places in held for place in places)

    def seek(self, positions: Mapping[str, int]) -> None:
        """Set the next offset per source."""
        places = {self._place(source): at for source, at in positions.items()}
        for member in self._members:
            member.seek(places)
        self._held_back = False

    def positions(self) -> Mapping[str, int]:
        """Where the next poll reads."""
        return {self._source(place): at for member in self._members for place, at in member.positions.items()}

    async def behind(self, positions: Mapping[str, int]) -> int:
        """By what the brokers say now; of partitions held back, which fetch nothing, too."""
        places = {self._place(source): at for source, at in positions.items()}
        return sum(await asyncio.gather(*(member.behind(places) for member in self._members)))

    def silence_s(self) -> float:
        """How long the broker has not answered; endless while it has not, or no source is held."""
        return max((member.silence_s() for member in self._members if member.positions), default=math.inf)

    def committed(self, positions: Mapping[str, int]) -> None:
        """Shown as lag by the broker, within seconds."""
        places = {self._place(source): at for source, at in positions.items()}
        for member in self._members:
            member.lag.note({place: at for place, at in places.items() if place in member.positions})

    async def poll(self, max_records: int, timeout_s: float) -> list[Polled]:
        """Records from the positions on, in order per source."""
        deadline = time.monotonic() + timeout_s
        step = _STEP_S[0]
        while True:
            if found := await self._take(max_records):
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            await asyncio.sleep(min(step, left))
            step = min(step * 1.5, _STEP_S[1])

    async def _take(self, most: int) -> list[Polled]:
        messages = []
        # Lower lanes always get a share, so that they move on, and so that their member never counts as idle. Beside
        # urgent events they get no more than that: all of a batch is seen only when the whole of it is committed.
        share = max(1, most // 8) if self._urgent is not None else most
        if self._urgent is not None:
            messages = await self._urgent.take(most - share if self._bulk is not None else most)
            if messages:
                self._urgent.busy()
        if self._bulk is not None:
            self._hold_imports_back()
            left = share if messages else most
            found = await self._bulk.take(left, self._normal if self._imports else None)
            room = left - len(found)
            if self._imports and room > 0:  # paused ones give nothing
                found += await self._bulk.take(room, self._imports)
            if found:
                self._bulk.busy()
            messages += found
        return [polled(message, self._prefix) for message in messages]

    def _hold_imports_back(self) -> None:
        hold = bool(self._imports) and self._urgent is not None and self._urgent.lags()
        if hold != self._held_back and self._bulk is not None:
            self._bulk.hold_back(self._imports, hold=hold)
            self._held_back = hold

    async def close(self) -> None:
        """Leave the groups at once."""
        await asyncio.gather(*(member.close() for member in self._members))

    def _source(self, place: TopicPartition) -> str:
        return f"{place.topic.removeprefix(self._prefix)}:{place.partition}"

    def _place(self, source: str) -> TopicPartition:
        topic, _, partition = source.rpartition(":")
        return TopicPartition(self._prefix + topic, int(partition))
