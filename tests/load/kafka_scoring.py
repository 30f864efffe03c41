"""Kafka → scores: the time that one scoring worker needs for a lag, and the time that two need for the same lag.

Floor: a bare consumer that only fetches the same records.
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

CONTACTS = 80_000


async def run() -> list[Figure]:
    """The same lag twice. `kafka_scoring_two`'s ratio is to one worker: 2 halves the lag."""
    events = [as_record(event) for event in touches(CONTACTS)]
    rates, took, floors = {}, {}, {}
    for workers in (1, 2):
        async with database("analytics") as analytics, topics(topics_of(scoring(0))) as options:
            await produce(options, events)
            floors[workers] = await bare_consume(options, events)
            took[workers] = await work_off(analytics, options, "scoring", len(events), workers)
            rates[workers] = len(events) / took[workers]
            async with analytics.worker.connection() as connection:
                scored = await connection.fetchval("select count(*) from lead_scores")
        if scored != CONTACTS:
            raise AssertionError(f"{scored} scores of {CONTACTS} contacts")
    return [
        Figure("kafka_scoring", rates[1], "events/s", len(events), round(took[1], 3), floors[1]),
        Figure("kafka_scoring_two", rates[2], "events/s", len(events), round(took[2], 3), rates[1]),
    ]


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
