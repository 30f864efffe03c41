"""One trace, edge by edge: from the request that starts a campaign to the SMTP dialogue, and back from the click."""

import secrets
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_main_job import one
from tests.fixtures import messy_contacts
from tests.fixtures.collector import Collector
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

START = ("campaigns", "POST /v1/campaigns/{campaign_id}/start")
FREEZE = ("contacts", "job freeze_audience")
SEND = ("delivery", "smtp send")
RECORD = ("delivery", "record outcomes")
TRACK = ("delivery", "track")


def published(service: str) -> tuple[str, str]:
    return service, f"publish {service}"


def processed(consumer: str) -> tuple[str, str]:
    return consumer.partition(".")[0], f"process {consumer}"


# From the cause to what it caused; an event's way over the bus is the edge from who wrote it to who handled it.
THERE = {
    (START, published("campaigns")),
    (START, processed("contacts.main")),
    (START, processed("delivery.main")),
    (processed("contacts.main"), FREEZE),
    (FREEZE, published("contacts")),
    (FREEZE, processed("delivery.main")),
    (START, SEND),
    (SEND, RECORD),
    (RECORD, published("delivery")),
    (RECORD, processed("analytics.ingest")),
    (RECORD, processed("contacts.main")),
}
BACK = {
    (START, TRACK),
    (TRACK, published("delivery")),
    (TRACK, processed("analytics.ingest")),
    (TRACK, processed("analytics.scoring")),
    (TRACK, processed("contacts.main")),
}


def test_a_campaign_s_trace_leads_to_the_smtp_dialogue_and_back_from_the_click(
    outside: Outside, recorder: Recorder, collector: Collector, tmp_path: Path
) -> None:
    tag = f"trace{secrets.token_hex(4)}"
    messy_contacts.write(tmp_path / "p.csv", 10, seed=9, tag=tag)
    outside.import_file(tmp_path / "p.csv")
    segment = outside.segment({"field": "email", "op": "starts_with", "value": tag})
    campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    outside.http.headers["traceparent"] = f"00-{trace_id}-{caller}-01"
    try:
        outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
    finally:
        del outside.http.headers["traceparent"]
    outside.closed(campaign, 60)

    def missing(wanted: set) -> set:
        return wanted - collector.edges(trace_id)

    outside.until(lambda: missing(THERE), lambda left: not left, 30)
    (start,) = [span for span in collector.reached_from(trace_id) if (span.service, span.name) == START]
    assert start.parent == (trace_id, caller), "it goes on where the caller was"

    mail = next(mail for mail in list(recorder.mails) if mail.recipient.startswith(tag))
    assert httpx.get(one(mail, "c")).status_code == 302
    outside.until(lambda: missing(BACK), lambda left: not left, 30)
    (track,) = [span for span in collector.reached_from(trace_id) if (span.service, span.name) == TRACK]
    assert track.parent is None
    assert track.trace_id != trace_id, "a click days later is a trace of its own, with a link"

    found = collector.reached_from(trace_id)
    texts = "\n".join(f"{span.name} {span.attributes}" for span in found)
    assert "barid.service" in texts
    assert "@" not in texts, "no span holds an address"
