"""A stand-in for the OpenTelemetry collector: takes traces by OTLP over HTTP and counts them by service.

It reads no configuration: the real one's, deploy/otel/collector.yaml, is not tried by it.
"""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

spans: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    """POST /v1/traces takes spans, GET /spans tells how many came, by service."""

    def do_POST(self) -> None:
        """Count spans."""
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            spans[names.get("service.name", "?")] += sum(len(scope.spans) for scope in resource.scope_spans)
        self._answer(b"")

    def do_GET(self) -> None:
        """Tell the counts."""
        self._answer(json.dumps(spans).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    print("stand-in for the OpenTelemetry collector: OTLP over HTTP on 4318", flush=True)
    ThreadingHTTPServer(("", 4318), Handler).serve_forever()
