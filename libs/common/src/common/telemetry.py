"""Trace context that travels through HTTP, outbox, bus and SMTP, and the set-up of tracing.

Without an OTLP endpoint there are no spans, but every request still has a trace id, which logs, problem
documents and events carry.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

SAMPLE_RATIO = 0.01
MOST_LINKS = 32

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$")
_TRACEPARENT_LENGTH = 55
_tracer = trace.get_tracer("barid")


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, or None outside a trace."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def current_trace_id() -> str | None:
    """The current trace id in hex, or None outside a trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def is_sampled(traceparent: str | None) -> bool:
    """Whether the trace is kept; by the flags alone, since it is asked for each message and event."""
    return traceparent is not None and traceparent[-1:] in "13579bdf" and len(traceparent) == _TRACEPARENT_LENGTH


def parse_traceparent(value: str | None) -> SpanContext | None:
    """The span context that a W3C traceparent names, or None if it is missing or malformed."""
    match = _TRACEPARENT.match(value) if value else None
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & 1))
    return context if context.is_valid else None


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int] | None = None,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """A span that is current inside the block; there is a valid trace id even without any tracing set up."""
    remote = parse_traceparent(parent)
    context = trace.set_span_in_context(NonRecordingSpan(remote)) if remote else None
    started = _tracer.start_span(name, context=context, kind=kind, attributes=attributes, links=links)
    if not started.get_span_context().is_valid or (remote and started.get_span_context() == remote):
        trace_id = remote.trace_id if remote else secrets.randbits(128) or 1
        flags = remote.trace_flags if remote else TraceFlags(0)
        started = NonRecordingSpan(SpanContext(trace_id, secrets.randbits(64) or 1, False, flags))
    with trace.use_span(started, end_on_exit=True):
        yield started


@contextmanager
def batch_span(
    name: str,
    traceparents: Sequence[str | None],
    *,
    kind: SpanKind,
    attributes: Mapping[str, str | int],
    follows: bool = True,
) -> Iterator[Span]:
    """One span for a batch. Where all of it comes from one trace it goes on there, else it links to some.

    `follows=False`: it only links; what it comes from was over long ago.
    """
    origins = dict.fromkeys(traceparents)
    traces = {_trace_of(origin) for origin in origins}
    parent = next(iter(origins)) if follows and len(traces) == 1 and None not in traces else None
    kept = [origin for origin in origins if origin is not None and is_sampled(origin) and origin != parent]
    with span(name, parent=parent, kind=kind, attributes=attributes, links=_links(kept)) as opened:
        yield opened


def _trace_of(traceparent: str | None) -> str | None:
    # Not parsed: a batch has thousands.
    return traceparent[3:35] if traceparent else None


def _links(traceparents: Iterable[str]) -> list[Link]:
    """To a span of each trace first, then to further ones, as far as there is room."""
    first: dict[str | None, str] = {}
    further = [one for one in traceparents if first.setdefault(_trace_of(one), one) is not one]
    contexts = map(parse_traceparent, [*first.values(), *further][:MOST_LINKS])
    return [Link(context) for context in contexts if context is not None]


def set_up_tracing(service: str, otlp_endpoint: str | None, *, sample_ratio: float = SAMPLE_RATIO) -> None:
    """Send sampled spans to an OTLP/HTTP endpoint. Without an endpoint nothing is set up and spans cost nothing."""
    if not otlp_endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased

    from common.sampling import LinkedSampler

    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.namespace": "barid"}),
        sampler=ParentBased(LinkedSampler(sample_ratio)),
    )
    endpoint = f"{otlp_endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
