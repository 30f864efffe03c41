"""The bus on Apache Kafka, for production (docs/adr/0013)."""

from common.bus.kafka.logs import quiet
from common.bus.kafka.options import KafkaOptions, Timing
from common.bus.kafka.producer import KafkaProducer
from common.bus.kafka.reader import KafkaReader, groups_of

__all__ = ["KafkaOptions", "KafkaProducer", "KafkaReader", "Timing", "groups_of"]

quiet()
