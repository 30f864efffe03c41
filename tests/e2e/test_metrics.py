"""What is declared is really told: every metric of docs/metrics.md has samples in a scrape of the running processes."""

import re
import secrets
from pathlib import Path

import httpx
import pytest
from common.metrics import declared

from tests.e2e.test_main_job import one
from tests.fixtures import messy_contacts
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder
from tests.fixtures.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def scrape(stack: Stack) -> str:
    info = stack.info()
    urls = [*info["health"].values(), info["url"]]
    return "\n".join(httpx.get(f"{url}/metrics", timeout=10).text for url in urls)


def value(text: str, name: str, **labels: str) -> float:
    """The highest sample with at least these labels."""
    wanted = {f'{label}="{of}"' for label, of in labels.items()}
    found = [
        float(number)
        for shown, number in re.findall(rf"^{name}(?:\{{(.*?)\}})? (\S+)$", text, re.MULTILINE)
        if wanted <= set(shown.split(","))
    ]
    return max(found, default=-1.0)


def test_every_declared_metric_is_told_and_the_main_job_moves_them(
    outside: Outside, recorder: Recorder, stack: Stack, tmp_path: Path
) -> None:
    tag = f"metric{secrets.token_hex(4)}"
    messy_contacts.write(tmp_path / "p.csv", 12, seed=4, tag=tag)
    outside.import_file(tmp_path / "p.csv")
    segment = outside.segment({"field": "email", "op": "starts_with", "value": tag})
    campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
    for _ in range(2):  # the second time it is answered from the store
        key = {"Idempotency-Key": f"start-{campaign}"}
        outside.call("POST", f"/v1/campaigns/{campaign}/start", json={}, headers=key)
    sent = outside.closed(campaign, 60)["sent"]
    assert sent > 0
    mail = next(mail for mail in list(recorder.mails) if mail.recipient.startswith(tag))
    assert httpx.get(one(mail, "o")).status_code == 200
    assert httpx.post(one(mail, "u"), data={"List-Unsubscribe": "One-Click"}).status_code == 200

    def untold(text: str) -> list[str]:
        suffix = {"histogram": "_count"}
        names = [one.name + suffix.get(one.kind, "") for one in declared()]
        return [name for name in names if not re.search(rf"^{name}[{{ ]", text, re.MULTILINE)]

    text = outside.until(lambda: scrape(stack), lambda text: not untold(text), 30)
    assert value(text, "barid_send_outcomes_total", outcome="sent", **{"class": ""}) >= 1
    assert value(text, "barid_send_seconds_count") >= 1
    assert value(text, "barid_unsubscribe_effective_seconds_count", service="delivery") >= 1
    assert value(text, "barid_tracker_request_seconds_count", kind="open", status="200") >= 1
    assert value(text, "barid_outbox_relay_active", service="delivery") == 1

    settled = outside.until(
        lambda: scrape(stack),
        lambda text: value(text, "barid_unsubscribe_effective_seconds_count", service="contacts") >= 1
        and all(value(text, "barid_ledger_messages", status=s) == 0 for s in ("pending", "attempting", "deferred"))
        and all(value(text, name) == 0 for name in ("barid_consumer_lag_events", "barid_dead_letters"))
        and value(text, "barid_consumer_partitions", consumer="delivery.main") > 0
        and value(text, "barid_consumer_oldest_event_age_seconds") < 30,
        60,
    )  # fmt: skip
    for person in (mail.recipient, tag, campaign, stack.info()["workspace_id"]):
        assert person not in settled, "a label holds an id or an address"
