"""The example events of the contracts: `contracts/examples/<topic>/v<n>/<name>.json`, headers and data."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from common import contracts
from common.contracts.envelope import Record
from common.contracts.topics import TOPICS, Topic

FOLDER = Path(contracts.__file__).parent / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """One example file."""

    topic: Topic
    name: str
    headers: dict[str, str]
    data: dict[str, Any]

    def record(self) -> Record:
        """The event as a transport carries it, with whatever the file holds."""
        return Record(
            id=UUID(self.headers["ce_id"]),
            topic=self.topic.name,
            type=self.headers["ce_type"],
            source=self.headers["ce_source"],
            workspace_id=UUID(self.headers["ce_workspaceid"]),
            time=datetime.fromisoformat(self.headers["ce_time"]),
            key=self.headers["ce_subject"],
            payload=json.dumps(self.data, ensure_ascii=False),
            lane=self.topic.lane,
            traceparent=self.headers.get("traceparent"),
        )

    def __str__(self) -> str:
        return f"{self.topic.type}/{self.name}"


def folder(topic: Topic) -> Path:
    """Where a topic's examples are."""
    return FOLDER / topic.name / f"v{topic.version}"


def examples(topic: Topic) -> Iterator[Example]:
    """A topic's examples, by name."""
    for path in sorted(folder(topic).glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        yield Example(topic, path.stem, found["headers"], found["data"])


def all_examples() -> list[Example]:
    """Every example of every topic."""
    return [example for topic in TOPICS for example in examples(topic)]
