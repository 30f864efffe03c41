"""The move: hold the target against the contracts, seal the log, wait until every group has read its end."""

import asyncio
import time
from collections.abc import Callable, Sequence

from common.bus.kafka import KafkaOptions, ends, topics
from common.bus.postgres import seal
from common.contracts.topics import BY_NAME
from common.db.pool import Database
from common.errors import BaridError, Conflict, Misconfigured, Unavailable
from common.exits import brief
from common.settings import SharedSettings, load

from barid.drain.parts import GROUPS, UNREACHABLE, Left, Parts, opened
from barid.drain.progress import shown
from barid.settings import StackSettings

LOOK_EVERY_S = 0.5

Tell = Callable[[str], None]


class NotDrained(BaridError):
    """Some group has not read the log to its end. `lines`: one per group."""

    code = "not_drained"

    def __init__(self, message: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.lines = lines


async def drain(settings: StackSettings, tell: Tell, *, timeout_s: float, dry_run: bool = False) -> None:
    """Seal the log and wait. Each step may be repeated, and none undoes another's work.

    Raises NotDrained after `timeout_s`, and Misconfigured or BusUnavailable before anything is changed.
    """
    options = _options()
    async with opened(settings) as parts:
        found = await _state(parts.bus)
        await topics.check(options, BY_NAME)
        if found.sealed_at is None:
            await _target_is_ours(parts, options)
        if dry_run:
            for left in await _look(parts):
                tell(f"{left.group}\t{left.total:,} to read\t{left.members} reading now")
            return
        if found.drained_at is None:
            async with parts.bus.transaction() as tx:
                await seal.seal(tx)
            await _wait(parts, timeout_s)
            async with parts.bus.transaction() as tx:
                if not await seal.set_drained(tx):
                    raise Conflict("the log was opened again meanwhile", mend="run `barid drain` again")
        found = await _state(parts.bus)
        tell(f"drained: all {len(GROUPS)} groups have read the log to its end, {found.end - 1:,}")
        await _tell_of_what_stays(parts, tell)
        tell("next: stop every process, set BARID_BUS=kafka, start them again")


async def cancel(settings: StackSettings, tell: Tell) -> None:
    """Open the log again, as long as nothing was published to Kafka. Raises Conflict."""
    options = _options()
    async with opened(settings) as parts:
        if (await _state(parts.bus)).sealed_at is None:
            tell("the log is open")
            return
        if groups := await parts.read_from_kafka():
            raise Conflict(f"{', '.join(groups)} read from Kafka already", mend="stay with BARID_BUS=kafka")
        if held := await ends.records(options, BY_NAME):
            raise Conflict(_held(held, options), mend="those events would be left behind: stay with BARID_BUS=kafka")
        async with parts.bus.transaction() as tx:
            await seal.reopen(tx)
        tell("the log is open again; relays go on within seconds")


def _options() -> KafkaOptions:
    return KafkaOptions.of(load(SharedSettings))


async def _state(bus: Database) -> seal.LogState:
    async with bus.connection() as connection:
        return await seal.state(connection)


async def _target_is_ours(parts: Parts, options: KafkaOptions) -> None:
    """Refuse topics with events of somebody else: consumers begin at their first record."""
    if (held := await ends.records(options, BY_NAME)) and not await parts.read_from_kafka():
        raise Misconfigured(
            f"{_held(held, options)}, which nobody here has read: name an empty place with BARID_KAFKA_PREFIX, or"
            " delete those topics and run `barid topics apply`"
        )


def _held(held: dict[str, int], options: KafkaOptions) -> str:
    name, number = next(iter(held.items()))
    others = f" and {len(held) - 1} more" if len(held) > 1 else ""
    return f"the topic {options.prefix}{name}{others} at {options.bootstrap} holds events ({number:,})"


async def _look(parts: Parts) -> list[Left]:
    return [await parts.left(group) for group in GROUPS]


async def _wait(parts: Parts, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    with shown() as show:
        while True:
            try:
                found = await _look(parts)
            except UNREACHABLE as error:
                raise Unavailable(
                    f"a database went away: {brief(error)}", mend="run `barid drain` again; nothing is lost"
                ) from error
            show(found)
            behind = [left for left in found if left.total]
            if not behind:
                return
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_EVERY_S)
    raise NotDrained(
        f"not drained within {timeout_s:g} s; the log stays sealed, and nothing is lost: mend what is named and run"
        " `barid drain` again, or `barid drain --cancel`",
        [_problem(left) for left in behind],
    )


def _problem(left: Left) -> str:
    places = ", ".join(f"{source} {number:,}" for source, number in sorted(left.unread.items()))
    service, _, consumer = left.group.partition(".")
    mend = (
        f"it is reading: give it more time, or look into the log of `{service} worker`"
        if left.members
        else f"nobody reads: start `{service} worker --only {consumer}` with BARID_BUS=postgres"
    )
    return f"{left.group}: {left.total:,} events left (lane/partition {places}); {mend}"


async def _tell_of_what_stays(parts: Parts, tell: Tell) -> None:
    if waiting := await parts.waiting():
        counts = ", ".join(f"{service} {number:,}" for service, number in waiting.items())
        tell(f"outboxes: {counts} events go to Kafka with the first relays there")
    if dead := await parts.dead():
        counts = ", ".join(f"{service} {number:,}" for service, number in dead.items())
        tell(f"dead letters: {counts} stay where they are; `barid dlq` works on as before")
