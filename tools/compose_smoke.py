"""`make compose-smoke`: all of docker-compose.yml, the main job through its one address, and everything down again.

A project, a port and secrets of its own, so that it disturbs no stack that runs here.
"""

import base64
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from common.contracts.addresses import normalise_address

from tests.e2e.test_main_job import one
from tests.fixtures import messy_contacts
from tests.fixtures.outside import Outside
from tests.fixtures.recorder import Mail
from tests.fixtures.stack import free_port
from tools import compose_secrets, engine
from tools.compose import NotReady, Stack
from tools.images import version

PROJECT = "barid-smoke"
ROWS = 400

_MAILPIT = "http://mailpit:8025/api/v1"
# Asked from within: the mailbox is not published.
_READ = f"""
import base64, json, urllib.request
def get(path):
    return urllib.request.urlopen({_MAILPIT!r} + path, timeout=20).read()
listed = json.loads(get("/messages?limit=10000"))["messages"]
mails = [(one["To"][0]["Address"], base64.b64encode(get(f"/message/{{one['ID']}}/raw")).decode()) for one in listed]
print(json.dumps(mails))
"""


def mails(stack: Stack) -> list[Mail]:
    """Everything in the mailbox."""
    found = json.loads(stack.python("delivery-mailer", _READ))
    return [Mail(normalise_address(address), base64.b64decode(data)) for address, data in found]


def bootstrap(stack: Stack) -> str:
    """A workspace's first token, as an operator makes it."""
    words = ["--workspace", "Smoke", "--email", "owner@barid.example", "--tracking", "individual"]
    words += ["--postal-address", "12 Caravan Road, 11511 Postville"]
    told = stack.compose("--profile", "cli", "run", "--rm", "--no-deps", "cli", "bootstrap", *words)
    token: str = json.loads(told.strip().splitlines()[-1])["token"]
    return token


def main_job(stack: Stack, outside: Outside, url: str, say: Callable[[str], None]) -> None:
    """Import, segment, campaign; the mails arrive; open, click, one-click unsubscribe; report, score, closed books."""
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "people.csv"
        expected = messy_contacts.write(people, ROWS, seed=7, tag="smoke")
        done = outside.import_file(people)
    assert done["status"] == "completed", done
    assert done["rows"]["created"] == expected.distinct, done
    say(f"imported {expected.distinct} people out of {ROWS} messy rows")

    segment = outside.segment({"field": "attributes.city", "op": "in", "value": ["تهران", "London"]})
    campaign = outside.campaign(outside.sender(), {"segment_ids": [segment]})
    outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
    books = outside.closed(campaign, 120)
    assert books["sent"] == books["eligible"] == books["audience"] > 4, books
    arrived = mails(stack)
    assert len(arrived) == len({mail.recipient for mail in arrived}) == books["sent"], (len(arrived), books)
    say(f"a campaign to {books['audience']}: {books['sent']} sent, {len(arrived)} in the mailbox, the books are closed")

    opened, clicked, gone = arrived[:3]
    time.sleep(1.6)  # who clicks within a second and a half of the sending is no person
    assert one(opened, "o").startswith(url), one(opened, "o")
    with httpx.Client() as person:
        assert person.get(one(opened, "o")).status_code == 200
        assert person.get(one(clicked, "c")).headers["location"].startswith("https://shop.example/")
        answer = person.post(one(gone, "u"), data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200, answer.text
    report = outside.until(
        lambda: outside.report(campaign),
        lambda found: found["opens"]["unique"] == found["clicks"]["unique"] == found["unsubscribed"] == 1,
        30,
    )
    clicker = outside.call("GET", "/v1/contacts", params={"email": clicked.recipient})["items"][0]
    score = outside.until(lambda: outside.call("GET", f"/v1/leads/{clicker['id']}/score"), lambda s: s["score"] > 0, 30)
    outside.until(lambda: outside.call("GET", f"/v1/contacts/{clicker['id']}"), lambda c: c["score"] > 0, 30)
    assert score["reasons"][0]["rule"] == "clicked", score
    say(f"opened, clicked, unsubscribed: {report['opens']['unique']}, {report['clicks']['unique']}, "
        f"{report['unsubscribed']} in the report; the click scores {score['score']}")  # fmt: skip


def closed_off(url: str) -> None:
    """What is not published is not there; what is, says so."""
    with httpx.Client(base_url=url) as nobody:
        assert nobody.get("/healthz").status_code == 200
        assert len(nobody.get("/v1/openapi.json").json()["paths"]) > 30
        for path in ("/metrics", "/readyz", "/v1/nothing", "/"):
            assert nobody.get(path).status_code == 404, path
        assert nobody.get("/v1/contacts").status_code == 401


def bodies(outside: Outside) -> None:
    """Large bodies: refused by the service, then by the proxy, each in its words; uploads pass."""
    headers = {"Content-Type": "application/json"}
    for megabytes, by_service in ((5, True), (9, False)):
        answer = outside.http.post("/v1/contacts", content=b" " * megabytes * 1024**2, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), answer.text
        assert ("x-trace-id" in answer.headers) == by_service, answer.headers
    upload = {"file": ("people.csv", b"Email\n" + b"x" * 9 * 1024**2, "text/csv")}
    answer = outside.http.post("/v1/imports", files=upload, data={"options": "{}"})
    assert answer.status_code in (400, 422), answer.text


def main() -> int:
    """The command."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"  {time.monotonic() - began:5.1f} s  {text}", flush=True)

    try:
        found = engine.find()
    except engine.NoEngine as error:
        print(f"make compose-smoke: {error}", file=sys.stderr)
        return 1
    print(f"compose smoke with {found.name}" + ("; images that cannot be pulled are stand-ins" * found.stand_ins))
    compose_secrets.write()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    stack = Stack(found, PROJECT, {"BARID_PORT": str(port), "BARID_PUBLIC_URL": url, "BARID_VERSION": version()})
    failed: Any = None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # taken down then, too
    try:
        stack.down()  # what a run that was killed left behind
        stack.up()
        say(f"{len(stack.containers())} containers, every health check passes, {url}")
        closed_off(url)
        outside = Outside(url, bootstrap(stack))
        with outside.http:
            bodies(outside)
            main_job(stack, outside, url, say)
    except NotReady as error:
        failed = error
        print(f"\n{error}:\n{stack.log(error.service) if stack.containers(error.service) else ''}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        failed = error
        print(f"\n{' '.join(map(str, error.cmd))} failed:\n{(error.stderr or '')[-4000:]}", file=sys.stderr)
    except Exception as error:
        failed = error
        print(f"\nmake compose-smoke: {type(error).__name__}: {error}", file=sys.stderr)
        for name in stack.services:
            if stack.containers(name) and not name.endswith("-migrate"):
                print(f"-- {name}\n{stack.log(name, 8)}", file=sys.stderr)
    finally:
        stack.down()
        say("everything is down")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
