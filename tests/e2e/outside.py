"""A client of Barid that knows only its HTTP interface."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

HTML = """<!doctype html><html><body>
<h1>سلام {{ first_name | default: "دوست" }}</h1>
<p>Hello {{ first_name }} from {{ attributes.city }}.</p>
<p><a href="https://shop.example/offer">Offer</a> <a href="https://shop.example/more?a=1&amp;b=2">More</a></p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a> <a href="{{ browser_url }}">View in browser</a></p>
</body></html>"""


class Outside:
    """One workspace's API, with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """The answer's JSON; fails on a problem, showing it. Outages are waited out as a front end would."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self.http.request(method, path, **kwargs)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
                continue
            if answer.status_code in (502, 503) and time.monotonic() < deadline:
                time.sleep(0.3)
                continue
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
            return answer.json() if answer.content else None

    def import_file(self, path: Path, **options: Any) -> dict[str, Any]:
        """Import a contact file and wait until it is done; the import."""
        wanted = {
            "mapping": {"Email": "email", "First Name": "first_name", "Last Name": "last_name",
                        "City": "attributes.city", "Country": "country", "Language": "language"},
            "create_attributes": True,
            "on_conflict": "update",
            "consent": {"status": "subscribed", "purpose": "newsletter", "tracking": "individual",
                        "source": "expo 2026", "evidence": "badge scans"},
            **options,
        }  # fmt: skip
        with path.open("rb") as file:
            started = self.call(
                "POST",
                "/v1/imports",
                files={"file": (path.name, file, "text/csv")},
                data={"options": json.dumps(wanted)},
            )
        return self.until(
            lambda: self.call("GET", f"/v1/imports/{started['id']}"),
            lambda found: found["status"] in ("completed", "failed", "cancelled"),
            180,
        )

    def sender(self) -> str:
        """A new sender's id."""
        body = {"name": "برید Barid", "email": "news@barid.example", "reply_to": "help@barid.example"}
        return str(self.call("POST", "/v1/senders", json=body)["id"])

    def campaign(self, sender_id: str, audience: dict[str, Any], **more: Any) -> str:
        """A new draft's id."""
        body = {
            "name": "autumn", "sender_id": sender_id, "purpose": "newsletter", "audience": audience,
            "content": {"subject": "خبر {{ first_name }} news", "html": HTML, "language": "fa", "direction": "rtl"},
            "tracking": {"opens": True, "clicks": True}, **more,
        }  # fmt: skip
        return str(self.call("POST", "/v1/campaigns", json=body)["id"])

    def segment(self, rule: dict[str, Any]) -> str:
        """A new segment's id."""
        return str(self.call("POST", "/v1/segments", json={"name": f"s{time.monotonic_ns()}", "rule": rule})["id"])

    def balance(self, campaign_id: str) -> dict[str, Any]:
        """The campaign's books."""
        found: dict[str, Any] = self.call("GET", f"/v1/campaigns/{campaign_id}/balance")
        return found

    def closed(self, campaign_id: str, within_s: float) -> dict[str, Any]:
        """Wait until the campaign has ended and its books balance; the books."""
        self.until(
            lambda: self.call("GET", f"/v1/campaigns/{campaign_id}"),
            lambda found: found["status"] in ("completed", "cancelled", "failed"),
            within_s,
        )
        return self.until(lambda: self.balance(campaign_id), lambda books: bool(books["balanced"]), 30)

    def report(self, campaign_id: str) -> dict[str, Any]:
        """The campaign's report."""
        found: dict[str, Any] = self.call("GET", f"/v1/reports/campaigns/{campaign_id}")
        return found

    @staticmethod
    def until(read: Callable[[], T], good: Callable[[T], bool], within_s: float) -> T:
        """Read until the answer is good. Fails with the last answer after `within_s` seconds."""
        deadline = time.monotonic() + within_s
        while True:
            found = read()
            if good(found):
                return found
            assert time.monotonic() < deadline, f"after {within_s} s still: {found}"
            time.sleep(0.1)
