"""As `send`, with the events on a real Kafka."""

from common.contracts.topics import TOPICS

from tests.load.broker import topics
from tests.load.figures import Figure
from tests.load.send import measure


async def run() -> list[Figure]:
    """One row."""
    async with topics(topic.name for topic in TOPICS) as options:
        return await measure("kafka_send", options)
