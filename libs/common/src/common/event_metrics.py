"""Every Prometheus metric of outbox, consumers and jobs, declared once; docs and alerts use these names."""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

OUTBOX_PUBLISHED = Counter("barid_outbox_published_total", "Events the bus acknowledged", ["service", "lane"])
OUTBOX_AGE = Gauge("barid_outbox_age_seconds", "Age of the oldest event not yet on the bus", ["service"])
OUTBOX_ACTIVE = Gauge("barid_outbox_relay_active", "1 in the process whose relay holds the lock", ["service"])
OUTBOX_FAILURES = Counter("barid_outbox_failures_total", "Relay rounds that failed and were repeated", ["service"])

CONSUMED = Counter("barid_consumer_events_total", "Events by what became of them", ["consumer", "outcome"])
CONSUMER_BATCH = Histogram(
    "barid_consumer_batch_seconds", "From poll to commit, per batch", ["consumer"], buckets=_FAST
)
CONSUMER_RETRIES = Counter("barid_consumer_retries_total", "Batches rolled back, to be read again", ["consumer", "why"])
CONSUMER_DELAY = Gauge("barid_consumer_delay_seconds", "Age of the newest event of the last batch", ["consumer"])
CONSUMER_LAST_POLL = Gauge("barid_consumer_last_poll_timestamp_seconds", "When it last asked the bus", ["consumer"])

JOBS_FINISHED = Counter("barid_jobs_finished_total", "Jobs by how they ended", ["kind", "outcome"])
JOBS_RUNNING = Gauge("barid_jobs_running", "Jobs that this process runs now", ["kind"])
JOB_SECONDS = Histogram(
    "barid_job_seconds", "How long one attempt of a job ran", ["kind"], buckets=(0.1, 1.0, 10.0, 60.0, 600.0, 3600.0)
)
