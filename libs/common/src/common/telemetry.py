"""Trace context that travels through HTTP, outbox, bus and SMTP."""

from opentelemetry import trace


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, or None outside a trace."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
