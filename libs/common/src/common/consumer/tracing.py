"""One span per batch, with the trace its events come from or links to some; no span per event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind
from structlog.contextvars import bound_contextvars

from common.bus.port import Polled
from common.telemetry import batch_span


@contextmanager
def process_span(consumer: str, polled: Sequence[Polled]) -> Iterator[Span]:
    """The span `process` of a batch. What handlers publish carries its trace."""
    attributes: dict[str, str | int] = {
        "barid.service": consumer.partition(".")[0],
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": consumer,
        "messaging.batch.message_count": len(polled),
    }
    traces = [one.record.traceparent for one in polled]
    with (
        bound_contextvars(consumer=consumer),
        batch_span(f"process {consumer}", traces, kind=SpanKind.CONSUMER, attributes=attributes) as opened,
    ):
        yield opened
