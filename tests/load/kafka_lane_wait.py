"""What an urgent event waits for behind an import, as `lane_wait`, over a real Kafka."""

from analytics.consumers.subscriptions import ingest
from common.bus.kafka import KafkaProducer
from common.consumer.decode import topics as topics_of

from tests.load.broker import topics
from tests.load.figures import Figure
from tests.load.lane_wait import measured


async def run() -> list[Figure]:
    """Over Kafka."""
    async with topics(topics_of(ingest())) as options:
        producer = KafkaProducer(options)
        await producer.ready()
        try:
            return [await measured("kafka_lane_wait", producer, options)]
        finally:
            await producer.close()
