"""One span per batch that goes to the bus; events keep the trace they were written with."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from opentelemetry.trace import Span, SpanKind

from common.contracts.envelope import Record
from common.telemetry import batch_span


def publish_span(service: str, records: Sequence[Record]) -> AbstractContextManager[Span]:
    """The span `publish` of a batch, in the trace its events come from or with links to some."""
    attributes: dict[str, str | int] = {
        "barid.service": service,
        "messaging.operation.type": "send",
        "messaging.batch.message_count": len(records),
    }
    traces = [record.traceparent for record in records]
    return batch_span(f"publish {service}", traces, kind=SpanKind.PRODUCER, attributes=attributes)
