"""Topics at the cluster, held against the contracts: made, widened, prolonged; never silently shrunk."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from common.bus.kafka.clients import admin_of
from common.bus.kafka.options import KafkaOptions
from common.contracts.envelope import MAX_EVENT_BYTES
from common.contracts.topics import BY_NAME, Topic
from common.errors import Misconfigured

_DAY_MS = 86_400_000
_OF_THE_TOPIC = 1  # DescribeConfigs' source DYNAMIC_TOPIC_CONFIG: what was set for this topic itself


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the cluster has it: `own` was set for it, `effective` also by the broker's defaults."""

    partitions: int
    copies: int
    own: dict[str, str]
    effective: dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the plan. `keep` is told and not done."""

    kind: Literal["create", "widen", "configure", "keep"]
    topic: str
    text: str
    partitions: int = 0
    configs: tuple[tuple[str, str], ...] = ()


def wanted(topic: Topic, options: KafkaOptions) -> dict[str, str]:
    """The topic's own configuration."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention_days * _DAY_MS),
        "min.insync.replicas": str(options.min_insync),
        "max.message.bytes": str(MAX_EVENT_BYTES + (1 << 20)),
    }


def plan(topics: Iterable[Topic], found: dict[str, Found], options: KafkaOptions) -> list[Change]:
    """What to do, topic by topic."""
    changes: list[Change] = []
    for topic in topics:
        configs, have = wanted(topic, options), found.get(topic.name)
        if have is None:
            text = f"{topic.partitions} partitions × {options.replication}, {topic.retention_days} days"
            changes.append(Change("create", topic.name, text, topic.partitions, tuple(configs.items())))
            continue
        if have.partitions < topic.partitions:
            # Keys move to other partitions: in order again once consumers have read what is there.
            text = f"{have.partitions} → {topic.partitions} partitions"
            changes.append(Change("widen", topic.name, text, topic.partitions))
        elif have.partitions > topic.partitions:
            text = f"{have.partitions} partitions, the contract asks for {topic.partitions}; they are never taken away"
            changes.append(Change("keep", topic.name, text))
        differs = {name: value for name, value in configs.items() if have.effective.get(name) != value}
        for name in ("retention.ms", "max.message.bytes", "min.insync.replicas"):
            stuck = name == "min.insync.replicas" and int(have.effective.get(name, "1")) > have.copies
            if name in differs and not stuck and _more(have.effective.get(name), differs[name]):
                text = f"{name} is {have.effective[name]}, the contract asks for {differs.pop(name)}; not shrunk:"
                changes.append(Change("keep", topic.name, f"{text} use kafka-configs.sh if that is meant"))
        if differs:
            text = ", ".join(f"{name} {have.effective.get(name)} → {value}" for name, value in differs.items())
            # AlterConfigs replaces all that was set for the topic, so the rest goes with it.
            changes.append(Change("configure", topic.name, text, configs=tuple({**have.own, **differs}.items())))
    return changes


def _more(have: str | None, asked: str) -> bool:
    return have is not None and (have == "-1" or int(have) > int(asked) != -1)


async def apply(options: KafkaOptions, topics: Sequence[Topic], *, dry_run: bool = False) -> list[Change]:
    """Make the cluster as the contracts say. Returns what was, or with `dry_run` would be, done."""
    if options.min_insync > options.replication:
        raise Misconfigured(
            f"BARID_KAFKA_MIN_INSYNC={options.min_insync} is more than BARID_KAFKA_REPLICATION={options.replication}"
        )
    async with admin_of(options) as admin:
        found = await _describe(admin, options, [topic.name for topic in topics])
        changes = plan(topics, found, options)
        if dry_run:
            return changes
        name = options.prefix.__add__
        if new := [change for change in changes if change.kind == "create"]:
            answer = await admin.create_topics(
                [NewTopic(name(c.topic), c.partitions, options.replication, topic_configs=dict(c.configs)) for c in new]
            )
            _raise_for(options, answer.topic_errors)
        for change in changes:
            if change.kind == "widen":
                await admin.create_partitions({name(change.topic): NewPartitions(change.partitions)})
            elif change.kind == "configure":
                resource = ConfigResource(ConfigResourceType.TOPIC, name(change.topic), dict(change.configs))
                for answer in await admin.alter_configs([resource]):
                    _raise_for(options, [(one[3], one[0], one[1]) for one in answer.resources])
        changed = {change.topic for change in changes if change.kind != "keep"}
        await _until_seen(admin, options, [topic for topic in topics if topic.name in changed])
        return changes


async def check(options: KafkaOptions, names: Iterable[str]) -> None:
    """Raise when the cluster cannot be used, or has not what the contracts ask for."""
    topics = [BY_NAME[name] for name in sorted(set(names))]
    async with admin_of(options) as admin:
        found = await _describe(admin, options, [topic.name for topic in topics])
        missing = [options.prefix + topic.name for topic in topics if topic.name not in found]
        hidden = await _hidden(admin, missing)
    for topic in topics:
        full, mend = options.prefix + topic.name, "run `barid topics apply`"
        if full in hidden:
            raise Misconfigured(
                f"BARID_KAFKA_USERNAME={options.username!r} sees no topic {full} at {options.bootstrap}:"
                f" {mend}, or give it the right to describe it"
            )
        if full in missing:
            raise Misconfigured(f"BARID_KAFKA_BOOTSTRAP={options.bootstrap} has no topic {full}: {mend}")
        if why := _unfit(topic, found[topic.name]):
            raise Misconfigured(f"the topic {full} {why}: {mend}")


def _unfit(topic: Topic, have: Found) -> str:
    """What would lose events, or never take one. A user without the right to see the configuration sees none of it."""
    if have.partitions < topic.partitions:
        return f"has {have.partitions} of {topic.partitions} partitions"
    kept = have.effective.get("retention.ms", "-1")
    if kept != "-1" and int(kept) < topic.retention_days * _DAY_MS:
        return f"keeps events for {int(kept) / _DAY_MS:.3g} of {topic.retention_days} days"
    if "compact" in have.effective.get("cleanup.policy", "delete"):
        return "is compacted, which takes away all but the last event of a key"
    if (insync := int(have.effective.get("min.insync.replicas", "1"))) > have.copies:
        return f"asks for {insync} copies in sync and has {have.copies}, so nothing can be written to it"
    if (most := int(have.effective.get("max.message.bytes", MAX_EVENT_BYTES))) < MAX_EVENT_BYTES:
        return f"takes {most} bytes for a message; an event may have {MAX_EVENT_BYTES}"
    return ""


async def _hidden(admin: AIOKafkaAdminClient, missing: Sequence[str]) -> set[str]:
    """Those that may be there, but not for this user. Unlike naming them in a request for metadata, this makes none."""
    if not missing:
        return set()
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in missing])
    return {one[3] for answer in answers for one in answer.resources if one[0] == TopicAuthorizationFailedError.errno}


async def _until_seen(admin: AIOKafkaAdminClient, options: KafkaOptions, topics: Sequence[Topic]) -> None:
    """The controller answers before every broker knows: of topics and partitions, and of configurations."""
    while topics:
        left = plan(topics, await _describe(admin, options, [topic.name for topic in topics]), options)
        if all(change.kind == "keep" for change in left):
            return
        await asyncio.sleep(0.05)


async def _describe(admin: AIOKafkaAdminClient, options: KafkaOptions, names: Sequence[str]) -> dict[str, Found]:
    full = {options.prefix + name: name for name in names}
    # All topics are asked for: a broker may make the ones that are named.
    there = {one["topic"]: one["partitions"] for one in await admin.describe_topics() if one["topic"] in full}
    configs: dict[str, list[Any]] = {}
    if there:
        for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in there]):
            configs |= {one[3]: one[4] for one in answer.resources if one[0] == 0}
    found = {}
    for name, partitions in there.items():
        entries = configs.get(name, [])
        own = {entry[0]: entry[1] for entry in entries if entry[3] == _OF_THE_TOPIC}
        copies = min((len(partition["replicas"]) for partition in partitions), default=0)
        found[full[name]] = Found(len(partitions), copies, own, {entry[0]: entry[1] for entry in entries})
    return found


def _raise_for(options: KafkaOptions, answers: Iterable[Any]) -> None:
    for name, code, *message in answers:
        if code and code != TopicAlreadyExistsError.errno:  # somebody made it just now
            why = message[0] if message and message[0] else for_code(code).__name__
            raise Misconfigured(f"the topic {name} cannot be made so at {options.bootstrap}: {why}")
