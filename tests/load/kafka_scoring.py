"""Kafka → scores: the time that one scoring worker needs for a lag, and the time that two need for the same lag.

First as fast as the machine lets them: workers, PostgreSQL and Kafka share its cores. Then with a part of a core for
each worker, so that there is room for two: there they halve what one works off, or something else holds them up.
Floor of one worker: a bare consumer that only fetches the same records. Floor of two: one; so the ratio is the gain.
"""

from analytics.consumers.subscriptions import scoring
from common.consumer.decode import topics as topics_of
from common.contracts.email import EmailClickedV1, EmailOpenedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.load.broker import topics
from tests.load.figures import Figure
from tests.load.kafka_consume import bare_consume, produce
from tests.load.server import database
from tests.load.workers import work_off

CONTACTS = 120_000
LIMITED = 80_000
SHARE = 0.3


async def run() -> list[Figure]:
    """The same lag for one worker and for two; then again with limited workers."""
    one = await measured("kafka_scoring", CONTACTS, 1)
    two = await measured("kafka_scoring_two", CONTACTS, 2, floor=one.value)
    limited = await measured("kafka_scoring_limited", LIMITED, 1, SHARE)
    both = await measured("kafka_scoring_limited_two", LIMITED, 2, SHARE, floor=limited.value)
    return [one, two, limited, both]


async def measured(name: str, people: int, workers: int, share: float = 1, floor: float | None = None) -> Figure:
    """Work one lag off, until everyone is scored."""
    events = [as_record(event) for event in touches(people)]
    async with database("analytics") as analytics, topics(topics_of(scoring(0))) as options:
        await produce(options, events)
        floor = floor or await bare_consume(options, events)
        took = await work_off(analytics, options, "scoring", len(events), workers, share)
        async with analytics.worker.connection() as connection:
            scored = await connection.fetchval("select count(*) from lead_scores")
    if scored != people:
        raise AssertionError(f"{scored} scores of {people} contacts")
    return Figure(name, len(events) / took, "events/s", len(events), round(took, 3), floor)


def touches(contacts: int) -> list[Outgoing]:
    """A campaign that everybody opened, and half of them clicked."""
    workspace, campaign, purpose = new_id(), new_id(), new_id()
    found = []
    for n in range(contacts):
        about = {
            "message_id": new_id(), "kind": "campaign", "contact_id": new_id(), "campaign_id": campaign,
            "purpose_id": purpose, "variant_id": "fa",
        }  # fmt: skip
        found.append(Outgoing(workspace, EmailOpenedV1(**about)))
        if n % 2:
            found.append(Outgoing(workspace, EmailClickedV1(**about, link=0, url="https://x.example/")))
    return found
