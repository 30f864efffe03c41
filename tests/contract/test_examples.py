"""The example events: right by schema and contract, complete, and agreeable to every consumer's real handlers."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema_rs
import pytest
from common.contracts.topics import BY_CONTRACT, TOPICS, Topic
from common.outbox import writer as outbox
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver_records, outbox_events
from common.testing.examples import FOLDER, Example, all_examples, examples, folder

from tests.contract.services import SERVICES, consumers_of
from tests.fixtures.databases import service_database
from tools.docs import schema

EXAMPLES = all_examples()
# RFC 2606 and RFC 6761: nobody owns these, so no example is mail to somebody.
_RESERVED = re.compile(r"(?:@|//)(?:[\w-]+\.)*(?:example(?:\.(?:com|org|net))?|مثال\.example|invalid)\b")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_right_by_schema_and_by_contract(example: Example) -> None:
    jsonschema_rs.validate(schema(example.topic), example.data, validate_formats=True)
    example.topic.contract.model_validate(example.data)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_envelope_is_a_cloud_event(example: Example) -> None:
    headers = example.headers
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == example.topic.type
    assert headers["ce_source"] in example.topic.owners
    assert headers["ce_subject"] == str(example.data[example.topic.key])
    assert headers["content-type"] == "application/json"
    assert datetime.fromisoformat(headers["ce_time"]).tzinfo is not None
    assert {name for name, _ in example.record().headers()} == set(headers)


def test_example_ids_are_unique() -> None:
    ids = [example.headers["ce_id"] for example in EXAMPLES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.type)
def test_a_topic_has_a_minimal_and_a_full_example(topic: Topic) -> None:
    found = {example.name: example.data for example in examples(topic)}
    required = {name for name, field in topic.contract.model_fields.items() if field.is_required()}

    assert set(found["minimal"]) == required
    assert set(found["full"]) == set(topic.contract.model_fields)


def test_no_example_belongs_to_nothing() -> None:
    assert {path.parent for path in FOLDER.rglob("*.json")} == {folder(topic) for topic in TOPICS}


def test_examples_write_arabic_and_persian_and_no_real_address() -> None:
    text = "\n".join(string for example in EXAMPLES for string in strings(example.data))
    for sample in ("علي@", "علی@", "علی‌رضا", "الرياض", "تهران", "xn--mgbh0fb"):
        assert sample in text
    for found in re.findall(r"\b[\w.+-]+@[\w.-]+", text):
        assert _RESERVED.search(found), f"{found} could be somebody's"


@pytest.mark.parametrize("service", SERVICES)
async def test_every_consumer_takes_every_example_twice_and_in_any_order(service: str, postgres) -> None:
    failures: list[str] = []
    async with service_database(postgres, service) as database:
        for consumer in consumers_of(service):
            topics = [BY_CONTRACT[subscription.contract] for subscription in consumer.subscriptions]
            found = [example for topic in topics for example in examples(topic)]
            assert found
            for example in [*reversed(found), *found]:
                try:
                    await deliver_records(database.worker, consumer, [example.record()])
                except Exception as error:
                    failures.append(f"{consumer.name} ← {example}: {type(error).__name__}: {error}")
    assert failures == []


@pytest.mark.parametrize("service", SERVICES)
async def test_all_examples_in_one_batch(service: str, postgres) -> None:
    """A poll may hold everything at once, doubled."""
    async with service_database(postgres, service) as database:
        for consumer in consumers_of(service):
            topics = [BY_CONTRACT[subscription.contract] for subscription in consumer.subscriptions]
            records = [example.record() for topic in topics for example in examples(topic)]
            await deliver_records(database.worker, consumer, records + records)


@pytest.mark.parametrize("service", SERVICES)
async def test_every_owner_publishes_its_examples_as_they_are(service: str, postgres) -> None:
    """Contract, outbox and relay's reading of it, in the owner's own database: nothing is lost on the way."""
    owned = [example for topic in TOPICS if service in topic.owners for example in examples(topic)]
    assert owned
    wanted = [example.record() for example in owned]
    async with service_database(postgres, service) as database:
        async with database.worker.transaction() as tx:
            await outbox.record(
                tx,
                [
                    Outgoing(
                        record.workspace_id,
                        example.topic.contract.model_validate(example.data),
                        id=record.id,
                        time=record.time,
                        traceparent=record.traceparent,
                    )
                    for example, record in zip(owned, wanted, strict=True)
                ],
            )
        published = await outbox_events(database.worker)
    assert [(event.id, event.workspace_id, event.time, event.key) for event in published] == [
        (record.id, record.workspace_id, record.time, record.key) for record in wanted
    ]
    assert [event.data for event in published] == [
        example.topic.contract.model_validate(example.data) for example in owned
    ]
