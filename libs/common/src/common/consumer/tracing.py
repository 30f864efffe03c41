"""One span per batch, linked to some of the traces its events come from; no span per event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.trace import Link, Span, SpanKind
from structlog.contextvars import bound_contextvars

from common.bus.port import Polled
from common.telemetry import parse_traceparent, span

MOST_LINKS = 32


@contextmanager
def batch_span(consumer: str, polled: Sequence[Polled]) -> Iterator[Span]:
    """The span `process` of a batch. What handlers publish carries its trace.

    A batch of one event continues that event's trace; a larger one begins its own, with links.
    """
    alone = polled[0].record.traceparent if len(polled) == 1 else None
    links: dict[int, Link] = {}
    for one in polled if alone is None else ():
        context = parse_traceparent(one.record.traceparent)
        if context and context.trace_flags.sampled and len(links) < MOST_LINKS:
            links.setdefault(context.trace_id, Link(context))
    with (
        bound_contextvars(consumer=consumer),
        span(
            f"process {consumer}",
            parent=alone,
            kind=SpanKind.CONSUMER,
            links=list(links.values()),
            attributes={
                "barid.service": consumer.partition(".")[0],
                "messaging.operation.type": "process",
                "messaging.consumer.group.name": consumer,
                "messaging.batch.message_count": len(polled),
            },
        ) as opened,
    ):
        yield opened
