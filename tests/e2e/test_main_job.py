"""The main job, by a client that knows only the HTTP interface and an SMTP server that is not Barid's."""

import csv
import io
import re
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from common.contracts.addresses import normalise_address

from tests.fixtures import messy_contacts
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Mail, Recorder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HREF = re.compile(r'(?:href|src)="([^"]+)"')


def links(mail: Mail) -> list[str]:
    return [url.replace("&amp;", "&") for url in HREF.findall(mail.html())]


def one(mail: Mail, kind: str) -> str:
    """The first link of a kind: o open, c click, u unsubscribe, b browser."""
    return next(url for url in links(mail) if urlsplit(url).path.startswith(f"/{kind}/"))


def test_a_messy_file_becomes_a_campaign_whose_books_close(
    outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    tag = f"m{time.time_ns()}"
    expected = messy_contacts.write(tmp_path / "people.csv", 1500, seed=3, tag=tag)
    done = outside.import_file(tmp_path / "people.csv")
    assert done["status"] == "completed", done
    assert done["rows"] == {
        "read": 1500, "created": expected.distinct, "updated": 0, "unchanged": 0,
        "skipped": expected.duplicates, "rejected": expected.rejects.total(),
    }  # fmt: skip
    again = outside.import_file(tmp_path / "people.csv")
    assert (again["rows"]["unchanged"], again["rows"]["created"]) == (expected.distinct, 0)

    segment = outside.segment(
        {"all": [{"field": "attributes.city", "op": "in", "value": ["تهران", "London"]},
                 {"field": "email", "op": "starts_with", "value": tag}]}
    )  # fmt: skip
    preview = outside.call(
        "POST",
        "/v1/segments/preview",
        json={"rule": {"all": [{"field": "attributes.city", "op": "in", "value": ["تهران", "London"]},
                               {"field": "email", "op": "starts_with", "value": tag}]}},
    )  # fmt: skip
    campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
    outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
    books = outside.closed(campaign, 60)
    assert books["audience"] == preview["count"] == books["eligible"] == books["sent"]

    mine = [mail for mail in list(recorder.mails) if mail.recipient.startswith(tag)]
    assert len(mine) == len({mail.recipient for mail in mine}) == books["sent"]
    assert {mail.recipient for mail in mine} <= {normalise_address(address) for address in expected.addresses}
    opened, clicked, gone, scanned = mine[:4]
    time.sleep(1.6)  # who clicks within a second and a half of the sending is no person

    with httpx.Client() as person:
        assert person.get(one(opened, "o")).status_code == 200
        first = person.get(one(clicked, "c"))
        assert first.status_code in (302, 303, 307)
        assert first.headers["location"].startswith("https://shop.example/")
        page = person.get(one(gone, "u"))
        assert page.status_code == 200
        header = gone.parsed()["List-Unsubscribe"]
        assert gone.parsed()["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        target = re.findall(r"<(http[^>]+)>", str(header))[0]
        answer = person.post(target, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert person.head(one(scanned, "c")).status_code in (200, 302, 303, 307)
        assert person.head(one(scanned, "o")).status_code == 200
        assert person.head(one(scanned, "u")).status_code in (200, 405)
    acted = time.monotonic()

    report = outside.until(
        lambda: outside.report(campaign),
        lambda r: r["opens"]["unique"] == 1 and r["clicks"]["unique"] == 1 and r["unsubscribed"] == 1
        and r["opens"]["machine"] == 1 and r["clicks"]["machine"] == 1,
        10,
    )  # fmt: skip
    assert time.monotonic() - acted < 2, "opens, clicks and unsubscribes show within two seconds"
    assert (report["sent"], report["opens"]["total"], report["clicks"]["total"]) == (books["sent"], 1, 1)

    clicker = outside.call("GET", "/v1/contacts", params={"email": clicked.recipient})["items"][0]
    score = outside.until(lambda: outside.call("GET", f"/v1/leads/{clicker['id']}/score"), lambda s: s["score"] > 0, 10)
    assert time.monotonic() - acted < 6, "a click shows in the score within six seconds"
    assert score["reasons"][0]["rule"] == "clicked"
    outside.until(lambda: outside.call("GET", f"/v1/contacts/{clicker['id']}"), lambda c: c["score"] > 0, 10)


def test_somebody_who_left_gets_no_further_campaign(outside: Outside, recorder: Recorder, tmp_path: Path) -> None:
    tag = f"l{time.time_ns()}"
    messy_contacts.write(tmp_path / "people.csv", 40, seed=5, tag=tag)
    outside.import_file(tmp_path / "people.csv")
    segment = outside.segment({"field": "email", "op": "starts_with", "value": tag})
    sender = outside.sender()
    first = outside.campaign(sender, {"segment_ids": [segment]})
    outside.call("POST", f"/v1/campaigns/{first}/start", json={})
    sent = outside.closed(first, 60)["sent"]
    mail = next(mail for mail in list(recorder.mails) if mail.recipient.startswith(tag))
    assert httpx.post(one(mail, "u"), data={"List-Unsubscribe": "One-Click"}).status_code == 200
    second = outside.campaign(sender, {"segment_ids": [segment]})
    outside.call("POST", f"/v1/campaigns/{second}/start", json={})
    books = outside.closed(second, 60)
    assert books["sent"] == sent - 1
    assert sum(books["excluded"].values()) + books["suppressed"] == 1
    assert recorder.counts()[mail.recipient] == 1


@pytest.mark.slow
@pytest.mark.skipif(
    not messy_contacts.SHARED_GENERATOR.exists(), reason="../shared/tools/make_contacts.py is not beside this checkout"
)
def test_twenty_thousand_messy_rows_reach_exactly_those_they_should(
    outside: Outside, recorder: Recorder, tmp_path: Path
) -> None:
    path = tmp_path / "c.csv"
    expected = messy_contacts.write_shared(path, 20_000, "--seed", "11")
    began = time.monotonic()
    done = outside.import_file(path)
    imported = time.monotonic()
    assert (done["rows"]["created"], done["rows"]["skipped"], done["rows"]["rejected"]) == (
        expected.distinct,
        expected.duplicates,
        expected.rejects.total(),
    )
    rejects = csv.DictReader(io.StringIO(outside.text(f"/v1/imports/{done['id']}/rejects")))
    assert Counter(reject["code"] for reject in rejects) == +expected.rejects
    wanted = living_in(path, {"تهران", "الرياض", "London"})
    rule = {"field": "attributes.city", "op": "in", "value": ["تهران", "الرياض", "London"]}
    before = recorder.counts()
    campaign = outside.campaign(outside.sender(), {"segment_ids": [outside.segment(rule)]})
    outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
    books = outside.closed(campaign, 180)
    sent = time.monotonic()
    arrived = recorder.counts() - before
    mine = {address for address in arrived if address.startswith("person")}
    assert wanted <= mine
    assert {address: n for address, n in arrived.items() if n > 1} == {}
    assert books["sent"] == books["eligible"] == len(arrived)
    print(f"import {20_000 / (imported - began):,.0f} rows/s, sending {books['sent'] / (sent - imported):,.0f} msg/s")


def living_in(path: Path, cities: set[str]) -> set[str]:
    """The addresses that a correct import of the file finds in these cities: the last row of an address counts."""
    found: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                address = normalise_address(row["Email"])
            except ValueError:
                continue
            if re.fullmatch(r"person\d+@[^@\s]+", address):
                found[address] = row["City"]
    return {address for address, city in found.items() if city in cities}
