"""Every topic is really published by its owners and really read by its consumers, and nothing is read in secret."""

import ast
import importlib
import pkgutil

import common.contracts
import pytest
from common.contracts.base import EventData, StateData
from common.contracts.topics import BY_CONTRACT, TOPICS, Topic

from tests.contract.services import SERVICES, consumers_of, trees


def names(node: ast.AST) -> set[str]:
    return {
        child.id if isinstance(child, ast.Name) else child.attr
        for child in ast.walk(node)
        if isinstance(child, ast.Name | ast.Attribute)
    }


def publishes(service: str, topic: Topic) -> bool:
    """Whether the service builds the contract's class, or writes the event in SQL of its own.

    A class may be chosen from a table ({"sent": EmailSentV1, …}); SQL takes type and topic from BY_CONTRACT[…].
    """
    contract = topic.contract.__name__
    for path, tree in trees(service).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and contract in names(node.func):
                return True
            if isinstance(node, ast.Subscript) and "BY_CONTRACT" in names(node.value) and contract in names(node.slice):
                return True
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and f"'{topic.type}'" in node.value:
                return True
            table = isinstance(node, ast.Dict) and "consumers" not in path.parts
            if table and any(contract in names(value) for value in node.values):  # type: ignore[attr-defined]
                return True
    return False


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.type)
def test_every_owner_publishes(topic: Topic) -> None:
    assert topic.owners
    for service in topic.owners:
        assert publishes(service, topic), f"{service} owns {topic.name} but never makes a {topic.contract.__name__}"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.type)
def test_nobody_else_publishes(topic: Topic) -> None:
    for service in set(SERVICES) - set(topic.owners):
        assert not publishes(service, topic), f"{service} makes {topic.contract.__name__}, which it does not own"


@pytest.mark.parametrize("service", SERVICES)
def test_subscriptions_are_what_the_topics_say(service: str) -> None:
    declared = {(group, topic.name) for topic in TOPICS for group in topic.consumers if group.split(".")[0] == service}
    real = {
        (consumer.name, BY_CONTRACT[subscription.contract].name)
        for consumer in consumers_of(service)
        for subscription in consumer.subscriptions
    }
    assert real - declared == set(), "subscribed, but not in TOPICS"
    assert declared - real == set(), "in TOPICS, but not subscribed"


def test_every_topic_has_a_reader() -> None:
    assert [topic.name for topic in TOPICS if not topic.consumers] == []


def test_every_contract_has_a_topic() -> None:
    found = set()
    for module in pkgutil.iter_modules(common.contracts.__path__, "common.contracts."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, EventData) and value.__name__.endswith("V1"):
                found.add(value)
    assert found == {topic.contract for topic in TOPICS}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.type)
def test_a_topic_is_well_formed(topic: Topic) -> None:
    fields = topic.contract.model_fields
    assert topic.key in fields
    assert fields[topic.key].is_required()
    assert topic.lane in (0, 1)
    assert topic.contract.__name__.endswith(f"V{topic.version}")
    if topic.name.split(".")[0] in {"campaign", "access"}:
        assert (topic.lane, topic.partitions) == (0, 1)
    if issubclass(topic.contract, StateData):
        assert "revision" in fields


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.type)
def test_personal_data_is_declared_and_kept_a_week(topic: Topic) -> None:
    """A field that holds a person's address or name makes its topic personal, wherever it is nested."""
    schema = str(topic.contract.model_json_schema())
    personal = any(f"'{name}':" in schema for name in ("first_name", "recipients", "tables"))
    personal = personal or (topic.name.startswith("lead.") and "'email':" in schema)
    personal = personal or topic.name == "contact.activity"  # its properties are whatever partners send
    assert topic.personal == personal
    assert topic.retention_days <= (7 if topic.personal else 30)
