"""Every metric of every process, declared once: docs/metrics.md, the rules and the dashboards are held against this.

Labels are few and bounded: services, consumers, kinds, outcomes, providers, route templates. Never an id of anything,
an address or a workspace.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAITS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

# HTTP
HTTP_SECONDS = Histogram(
    "barid_http_request_seconds",
    "Time from the request's first byte to the answer's last, by route template",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
HTTP_REPLAYED = Counter("barid_http_idempotent_replays_total", "POSTs answered from the store", ["service"])

# Outbox and relay
OUTBOX_PUBLISHED = Counter("barid_outbox_published_total", "Events the bus acknowledged", ["service", "lane"])
OUTBOX_AGE = Gauge("barid_outbox_age_seconds", "Age of the oldest event not yet on the bus", ["service"])
OUTBOX_ACTIVE = Gauge("barid_outbox_relay_active", "1 in the process whose relay holds the lock", ["service"])
OUTBOX_FAILURES = Counter("barid_outbox_failures_total", "Relay rounds that failed and were repeated", ["service"])

# Consumers
CONSUMED = Counter("barid_consumer_events_total", "Events by what became of them", ["consumer", "outcome"])
CONSUMER_BATCH = Histogram(
    "barid_consumer_batch_seconds", "From poll to commit, per batch", ["consumer"], buckets=_FAST
)
CONSUMER_EVENT = Histogram(
    "barid_consumer_event_seconds",
    "From an event's own time to its commit here: the oldest of each batch",
    ["consumer"],
    buckets=_WAITS,
)
CONSUMER_RETRIES = Counter("barid_consumer_retries_total", "Batches rolled back, to be read again", ["consumer", "why"])
CONSUMER_DELAY = Gauge("barid_consumer_delay_seconds", "Age of the newest event of the last batch", ["consumer"])
CONSUMER_LAST_POLL = Gauge("barid_consumer_last_poll_timestamp_seconds", "When it last asked the bus", ["consumer"])
CONSUMER_LAG = Gauge(
    "barid_consumer_lag_events",
    "Events between what this member committed and the end of its partitions; on postgres an upper bound",
    ["consumer"],
)
CONSUMER_OLDEST = Gauge(
    "barid_consumer_oldest_event_age_seconds",
    "Age of the oldest event that was read and is not committed; it grows while a batch hangs or is repeated",
    ["consumer"],
)
CONSUMER_PARTITIONS = Gauge("barid_consumer_partitions", "Partitions that this member reads now", ["consumer"])
DEAD_LETTERS = Gauge(
    "barid_dead_letters",
    "Events buried, or set aside by the relay (`<service>.relay`), and not yet replayed",
    ["consumer"],
)

# Jobs
JOBS_FINISHED = Counter("barid_jobs_finished_total", "Jobs by how they ended", ["service", "kind", "outcome"])
JOBS_RUNNING = Gauge("barid_jobs_running", "Jobs that this process runs now", ["service", "kind"])
JOB_SECONDS = Histogram(
    "barid_job_seconds",
    "How long one attempt of a job ran",
    ["service", "kind"],
    buckets=(0.1, 1.0, 10.0, 60.0, 600.0, 3600.0),
)
JOBS_WAITING = Gauge("barid_jobs_waiting", "Jobs that are due and that nobody runs", ["service", "kind"])
JOBS_OLDEST = Gauge("barid_jobs_oldest_age_seconds", "How long the oldest of them has been due", ["service", "kind"])
LEASES_EXPIRED = Counter(
    "barid_leases_expired_total", "Leases that ran out with work under them, found by who takes over", ["kind"]
)

# Sending
SENDS = Counter(
    "barid_send_outcomes_total", "Messages by what an attempt made of them", ["outcome", "class", "provider"]
)
SEND_SECONDS = Histogram(
    "barid_send_seconds", "From the mark to the outcome's commit, per message", ["provider"], buckets=_FAST
)
LEDGER = Gauge(
    "barid_ledger_messages",
    "Rows of the send ledger that are open or uncertain; held: waiting, of a campaign that is paused or held",
    ["status"],
)
SLOWED = Counter(
    "barid_send_slowed_total", "Times that a provider asked for less, and all mailers halved their speed", ["provider"]
)
ROUTES_SLOWED = Gauge(
    "barid_routes_slowed", "Routes over which a provider gets less than all, because it asked for that", ["provider"]
)
ROUTES_PAUSED = Gauge("barid_routes_paused", "Those over which it gets nothing for a moment", ["provider"])
BUDGET_LEFT = Gauge(
    "barid_send_budget_left_ratio",
    "What is left of a provider's rate over the platform's route: 1 nothing is used, 0 mail waits for it",
    ["provider"],
)
ROUTES_OPEN = Gauge(
    "barid_route_breakers_open",
    "Routes that this mailer knows to be down now; platform: BARID_SMTP_URL, workspace: routes of workspaces",
    ["kind"],
)
ROUTES_FAILING = Gauge("barid_routes_failing", "Enabled routes of workspaces that do not work, as mailers met them")
WARMUPS_FULL = Gauge("barid_warmups_full", "Sending domains whose plan has no room left today")
LEDGER_MENDED = Counter(
    "barid_ledger_mends_total", "Campaigns whose counters differed from their ledger rows", ["service"]
)
FIRST_MAIL_SECONDS = Histogram(
    "barid_campaign_first_mail_seconds",
    "From when delivery first heard of a campaign until it told of its first sent message",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600),
)
LEDGER_DRIFT = Gauge(
    "barid_ledger_drift_messages", "Messages of closed campaigns that stand elsewhere in analytics than in the ledger"
)

# What comes back
RETURNS = Counter(
    "barid_returns_total",
    "What came back, by the way it came, what it means, and what it did: counted; nothing, as unproven, unknown (no"
    " message of ours) or repeated",
    ["type", "kind", "outcome"],
)

SET_ASIDE = Counter(
    "barid_returns_set_aside_total",
    "Mails kept as they came, because they could not be read or stored, or name no message of ours (unknown)",
    ["type", "why"],
)
INBOX_READ = Gauge("barid_inbox_last_read_timestamp_seconds", "When the mailbox was last read without an error")

# Events from outside
SEARCH_BEHIND = Gauge("barid_search_behind_seconds", "How long the oldest change waits for the search of contacts")
PARKED_EVENTS = Counter(
    "barid_parked_events_total", "Events that waited for a contact, by what ended it: joined or expired", ["outcome"]
)

SOURCE_DELIVERIES = Counter(
    "barid_source_deliveries_total",
    "What partners sent to sources: taken, skipped or failed by the mapping, or refused: forged, no_json, limited",
    ["outcome"],
)

# Tracker
TRACKER_SECONDS = Histogram(
    "barid_tracker_request_seconds", "Time from a mail's link to its answer", ["kind", "status"], buckets=_FAST
)
DKIM_FAILURES = Counter(
    "barid_dkim_failures_total", "DKIM keys that could not be opened, so that mail went out without them", ["service"]
)
TRACKER_LOST = Counter(
    "barid_tracker_events_lost_total", "Opens and clicks dropped because the buffer was full", ["type"]
)
TRACKER_WAITING = Gauge("barid_tracker_events_waiting", "Opens and clicks that are not durable yet")
UNSUBSCRIBE_SECONDS = Histogram(
    "barid_unsubscribe_effective_seconds",
    "From a person's wish to leave to its commit: where mail is sent, and in the ledger of consent",
    ["service"],
    buckets=(*_FAST, 30.0, 60.0, 300.0),
)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as it is scraped. `kind`: counter, gauge or histogram."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    metric: MetricWrapperBase


def declared() -> Iterator[Declared]:
    """Every metric above."""
    for value in globals().values():
        if isinstance(value, MetricWrapperBase):
            (told,) = value.describe()
            name = told.name + ("_total" if told.type == "counter" else "")
            yield Declared(name, told.type, told.documentation, tuple(value._labelnames), value)
