"""Contracts change by addition only: compared with the schemas committed, here and on the main branch."""

import copy
import json
import subprocess
from typing import Any

import pytest
from common.contracts.topics import TOPICS, Topic

from tests.contract.services import ROOT
from tools.docs import SCHEMAS, schema
from tools.schema_changes import breaking_changes


def committed(topic: Topic, revision: str) -> dict[str, Any] | None:
    """The schema as it stands at a revision, or None if there is none."""
    path = (SCHEMAS / f"{topic.type}.json").relative_to(ROOT)
    found = subprocess.run(
        ["git", "show", f"{revision}:{path}"], cwd=ROOT, capture_output=True, check=False, timeout=10
    )
    return json.loads(found.stdout) if found.returncode == 0 else None


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.type)
def test_the_schema_on_disk_is_the_contracts(topic: Topic) -> None:
    path = SCHEMAS / f"{topic.type}.json"
    assert path.exists(), "run `make docs`"
    assert json.loads(path.read_text(encoding="utf-8")) == schema(topic), "run `make docs`"


@pytest.mark.parametrize("revision", ["HEAD", "main", "origin/main"])
def test_only_additions_since(revision: str) -> None:
    found = {topic.type: committed(topic, revision) for topic in TOPICS}
    breaks = [
        f"{topic.type} {line}"
        for topic in TOPICS
        if (old := found[topic.type]) is not None
        for line in breaking_changes(old, schema(topic))
    ]
    assert breaks == [], "publish a V2 in parallel instead"


def test_every_schema_belongs_to_a_topic() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {topic.type for topic in TOPICS}


class TestBreakingChanges:
    """The comparison itself, on the schema of a contract with nested values."""

    @pytest.fixture
    def old(self) -> dict[str, Any]:
        return schema(next(topic for topic in TOPICS if topic.name == "lead.created"))

    @pytest.fixture
    def new(self, old: dict[str, Any]) -> dict[str, Any]:
        return copy.deepcopy(old)

    def test_nothing_changed(self, old, new) -> None:
        assert breaking_changes(old, new) == []

    def test_an_optional_field_is_an_addition(self, old, new) -> None:
        new["properties"]["nickname"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
        new["properties"]["email"]["description"] = "better words"
        assert breaking_changes(old, new) == []

    def test_a_removed_field(self, old, new) -> None:
        del new["properties"]["tags"]
        assert breaking_changes(old, new) == ["/: tags is gone"]

    def test_a_renamed_field(self, old, new) -> None:
        new["properties"]["labels"] = new["properties"].pop("tags")
        assert breaking_changes(old, new) == ["/: tags is gone"]

    def test_a_required_addition(self, old, new) -> None:
        new["properties"]["score"] = {"type": "number"}
        new["required"].append("score")
        assert breaking_changes(old, new) == ["/: score became required"]

    def test_a_field_that_may_now_be_missing(self, old, new) -> None:
        new["required"].remove("email")
        assert breaking_changes(old, new) == ["/: email is no longer always there"]

    def test_another_type(self, old, new) -> None:
        new["properties"]["email"]["type"] = "integer"
        assert breaking_changes(old, new) == ["/email: type string became integer"]

    def test_null_where_there_was_none(self, old, new) -> None:
        new["properties"]["email"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
        assert len(breaking_changes(old, new)) == 1

    def test_a_nested_field(self, old, new) -> None:
        del new["$defs"]["PurposeConsent"]["properties"]["status"]
        assert breaking_changes(old, new) == [
            "/consents/*: status is gone",
        ]

    def test_another_choice(self, old, new) -> None:
        new["properties"]["tracking"]["enum"].append("some")
        assert len(breaking_changes(old, new)) == 1

    def test_a_tighter_bound(self, old, new) -> None:
        new["properties"]["revision"]["minimum"] = 5
        assert breaking_changes(old, new) == ["/revision: minimum 1 became 5"]
