"""One span per batch, linked to some of the traces its events come from; no span per event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind
from structlog.contextvars import bound_contextvars

from common.bus.port import Polled
from common.telemetry import parse_traceparent

MOST_LINKS = 32
_tracer = trace.get_tracer("barid.consumer")


@contextmanager
def batch_span(consumer: str, polled: Sequence[Polled]) -> Iterator[Span]:
    """The span `process` of a batch. What handlers publish carries its trace.

    A batch of one event continues that event's trace; a larger one begins its own, with links.
    """
    contexts = [context for one in polled if (context := parse_traceparent(one.record.traceparent))]
    parent = contexts[0] if len(polled) == 1 and contexts else None
    sampled = list({context.trace_id: context for context in contexts if context.trace_flags.sampled}.values())
    with (
        bound_contextvars(consumer=consumer),
        _tracer.start_as_current_span(
            f"process {consumer}",
            context=trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None,
            kind=SpanKind.CONSUMER,
            links=[] if parent else [Link(context) for context in sampled[:MOST_LINKS]],
            attributes={
                "barid.service": consumer.partition(".")[0],
                "messaging.operation.type": "process",
                "messaging.consumer.group.name": consumer,
                "messaging.batch.message_count": len(polled),
            },
        ) as span,
    ):
        yield span
