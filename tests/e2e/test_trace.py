"""One trace, from the request that starts a campaign to the fact that it was opened."""

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


def test_one_trace_spans_every_service(
    outside: Outside, recorder: Recorder, collector: Collector, tmp_path: Path
) -> None:
    messy_contacts.write(tmp_path / "p.csv", 10, seed=9, tag="trace")
    outside.import_file(tmp_path / "p.csv")
    segment = outside.segment({"field": "email", "op": "starts_with", "value": "trace"})
    campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
    trace_id = secrets.token_hex(16)
    parent = outside.http.headers
    parent["traceparent"] = f"00-{trace_id}-{secrets.token_hex(8)}-01"
    outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
    outside.closed(campaign, 60)
    mail = next(mail for mail in list(recorder.mails) if mail.recipient.startswith("trace"))
    assert httpx.get(one(mail, "o")).status_code == 200

    def services() -> set[str]:
        return {span.service for span in collector.reached_from(trace_id)}

    outside.until(services, lambda found: {"campaigns", "contacts", "delivery", "analytics"} <= found, 30)
    outside.until(
        lambda: sorted({(span.service, span.name) for span in collector.reached_from(trace_id)}),
        lambda names: any("smtp" in name.lower() for _, name in names),
        15,
    )
