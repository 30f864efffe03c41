"""The metrics of the HTTP side. docs/metrics.md lists every metric of every process."""

from prometheus_client import Counter, Histogram

HTTP_SECONDS = Histogram(
    "barid_http_request_seconds",
    "Time from the request's first byte to the answer's last, by route template",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
HTTP_REPLAYED = Counter(
    "barid_http_idempotent_replays_total",
    "POSTs answered from the store",
    ["service"],
)
