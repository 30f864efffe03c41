"""Pause, resume, cancel, unsubscribe and erase in mid-campaign."""

import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_kill import begin, slowly
from tests.e2e.test_main_job import one
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Recorder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def arrived(recorder: Recorder, tag: str) -> int:
    return sum(n for address, n in recorder.counts().items() if address.startswith(tag))


def wait_for_mail(recorder: Recorder, tag: str, at_least: int) -> None:
    Outside.until(lambda: arrived(recorder, tag), lambda n: n >= at_least, 30)


def status(outside: Outside, campaign: str, wanted: str) -> None:
    outside.until(lambda: outside.call("GET", f"/v1/campaigns/{campaign}"), lambda c: c["status"] == wanted, 30)


def test_a_paused_campaign_sends_nothing_until_it_is_resumed(
    outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "p.csv", 500, 21)
        wait_for_mail(recorder, tag, 20)
        answer = outside.call("POST", f"/v1/campaigns/{campaign}/pause", json={})
        assert answer["status"] in ("pausing", "paused")
        status(outside, campaign, "paused")
        paused_at = arrived(recorder, tag)
        assert paused_at < len(wanted)
        time.sleep(1.5)
        assert arrived(recorder, tag) == paused_at
        books = outside.balance(campaign)
        assert not books["balanced"]
        assert books["open"] == len(wanted) - books["sent"]
        outside.call("POST", f"/v1/campaigns/{campaign}/resume", json={})
        books = outside.closed(campaign, 60)
    assert books["sent"] == len(wanted) == arrived(recorder, tag)


def test_a_cancelled_campaign_closes_its_books_with_who_was_not_mailed(
    outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    with slowly(recorder, 0.02):
        campaign, tag, wanted = begin(outside, tmp_path / "p.csv", 500, 22)
        wait_for_mail(recorder, tag, 20)
        outside.call("POST", f"/v1/campaigns/{campaign}/cancel", json={})
        books = outside.closed(campaign, 60)
    assert outside.call("GET", f"/v1/campaigns/{campaign}")["status"] == "cancelled"
    assert books["cancelled"] > 0
    assert books["sent"] + books["cancelled"] == len(wanted)
    assert books["sent"] == arrived(recorder, tag)


def test_who_leaves_or_is_erased_in_mid_campaign_is_not_mailed_any_more(
    outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    with slowly(recorder, 0.02):
        first, tag, _ = begin(outside, tmp_path / "p.csv", 60, 23)
        outside.closed(first, 60)
        mails = [mail for mail in list(recorder.mails) if mail.recipient.startswith(tag)]
        leaver, erased = mails[0], mails[1]
        contact = outside.call("GET", "/v1/contacts", params={"email": erased.recipient})["items"][0]
        segment = outside.segment({"field": "email", "op": "starts_with", "value": tag})
        campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
        outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
        outside.call("POST", f"/v1/campaigns/{campaign}/pause", json={})
        status(outside, campaign, "paused")
        before = recorder.counts()
        assert httpx.post(one(leaver, "u"), data={"List-Unsubscribe": "One-Click"}).status_code == 200
        request = outside.call("POST", "/v1/privacy-requests", json={"kind": "erase", "contact_id": contact["id"]})
        outside.until(
            lambda: outside.call("GET", f"/v1/privacy-requests/{request['id']}"),
            lambda found: found["status"] == "completed",
            30,
        )
        outside.call("POST", f"/v1/campaigns/{campaign}/resume", json={})
        books = outside.closed(campaign, 60)
    for mail in (leaver, erased):
        assert recorder.counts()[mail.recipient] == before[mail.recipient]
    assert books["eligible"] == books["sent"] + books["suppressed"]
    assert outside.call("GET", f"/v1/contacts?email={erased.recipient}")["items"] == []
