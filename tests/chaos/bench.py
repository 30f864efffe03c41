"""What a row works with: a running stack that sends through the proxy to the sink, and people to write to."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.chaos.checker import Evidence, Seen, Terms, Verdict, check
from tests.chaos.evidence import Databases, read_log
from tests.chaos.script import Rule
from tests.chaos.steered import ProxyProcess, SinkProcess
from tests.fixtures.environment import ended_with_us
from tests.fixtures.outside import Outside
from tests.fixtures.stack import Stack, free_port, start
from tools.kafka import Broker

WINDOW = 64
CONNECTIONS = 8
STILL_S = 60.0  # what is under way when the books are closed gets so long
LASTS_S = 20.0  # at least, where a row needs a campaign to last
SENDING_DOMAIN = "barid.example"
RETRY_FIRST_S = 1.0
DOT_TIMEOUT_S = 15.0
# Ten mailbox providers; of the 20 shares, gmail has six. `chmail.ir` is the smallest: 5 % of all.
DOMAINS = [
    *["gmail.com"] * 6, *["outlook.com"] * 3, *["yahoo.com"] * 2, *["icloud.com"] * 2, "proton.me", "yandex.ru",
    "mail.ru", "gmx.de", "chmail.ir", "shop.example", "post.example",
]  # fmt: skip
HTML = """<!doctype html><html><body><p>سلام {{ first_name }}, news from {{ attributes.city }}.</p>
<p><a href="https://shop.example/offer">Offer</a></p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""


@dataclass(frozen=True)
class Sending:
    """One campaign. `log_from`: where the sink's log was when it began."""

    id: str
    tag: str
    wanted: frozenset[str]
    log_from: int
    began: float


@dataclass
class Bench:
    """One stack on one bus, used by one row after another."""

    bus: str
    stack: Stack
    outside: Outside
    sink: SinkProcess
    proxy: ProxyProcess
    area: Path
    size: int
    seed: int
    broker: Broker | None = None
    databases: Databases = field(init=False)
    extra: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.databases = Databases(self.stack.directory)
        self._sender = self.outside.sender()

    def random(self, name: str) -> random.Random:
        """A source of chance of a row's own."""
        return random.Random(f"{self.seed}/{name}")

    def slow(self) -> Rule:
        """A server that takes its time, so that a campaign lasts long enough to have a middle."""
        return Rule("slow", "body", "reply", "250 2.0.0 taken", seconds=max(0.03, LASTS_S * CONNECTIONS / self.size))

    def people(self, count: int) -> tuple[str, frozenset[str]]:
        """Import so many people who want mail: what their addresses begin with, and the addresses."""
        tag = f"c{time.time_ns():x}n"
        people = [f"{tag}{n}@{DOMAINS[n % len(DOMAINS)]}" for n in range(count)]
        path = self.area / "people.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Email", "First Name", "Last Name", "City", "Country", "Language"])
            writer.writerows([one, "نیلوفر", "رضایی", "تهران", "IR", "fa"] for one in people)
        done = self.outside.import_file(path)
        assert done["rows"]["created"] == count, done
        return tag, frozenset(people)

    def contact(self, address: str) -> str:
        """The id of somebody who was imported."""
        return str(self.outside.call("GET", "/v1/contacts", params={"email": address})["items"][0]["id"])

    def draft(self, tag: str, **more: Any) -> str:
        """A campaign to them, not started."""
        segment = self.outside.segment({"field": "email", "op": "starts_with", "value": tag})
        content = {"subject": "خبر {{ first_name }}", "html": HTML, "language": "fa", "direction": "rtl"}
        return self.outside.campaign(self._sender, {"segment_ids": [segment]}, content=content, **more)

    def send(self, *rules: Rule, count: int | None = None, **more: Any) -> Sending:
        """Import people, let the sink have its script, and start a campaign to them."""
        tag, wanted = self.people(count or self.size)
        return self.send_to(tag, wanted, *rules, **more)

    def send_to(self, tag: str, wanted: frozenset[str], *rules: Rule, **more: Any) -> Sending:
        """Start a campaign to people who were imported before."""
        return self.start(self.draft(tag, **more), tag, wanted, *rules)

    def start(self, campaign: str, tag: str, wanted: frozenset[str], *rules: Rule) -> Sending:
        """Start a campaign that is drafted."""
        self.sink.script(self.seed, rules)
        log_from = self.sink.log.stat().st_size
        self.outside.call("POST", f"/v1/campaigns/{campaign}/start", json={})
        return Sending(campaign, tag, wanted, log_from, time.time())

    @contextmanager
    def route(self, limits: dict[str, dict[str, float]]) -> Iterator[None]:
        """A route of the workspace's own to the same sink, with limits that all mailers keep together."""
        body = {"name": f"r{time.time_ns()}", "host": "127.0.0.1", "port": self.proxy.port, "tls": "none"}
        made = self.outside.call("POST", "/v1/routes", json={**body, "limits": limits})
        try:
            yield
        finally:
            self.outside.call("DELETE", f"/v1/routes/{made['id']}", headers={"If-Match": "*"})

    def log(self, sending: Sending) -> list[Seen]:
        """What the sink saw of a campaign's people since it began."""
        return [
            seen
            for seen in read_log(self.sink.log, sending.log_from)
            if seen.recipient is None or seen.recipient.startswith(sending.tag)
        ]

    def arrived(self, sending: Sending) -> int:
        """How many copies the sink has."""
        return sum(seen.has for seen in self.log(sending))

    def wait_for(self, sending: Sending, share: float, within_s: float = 120) -> None:
        """Wait until this share of the audience has arrived."""
        wanted = share * len(sending.wanted)
        self.outside.until(lambda: self.arrived(sending), lambda n: n >= wanted, within_s)

    def closed(self, sending: Sending, within_s: float = 420) -> dict[str, Any]:
        """Wait until the books of a campaign are closed."""
        return self.outside.closed(sending.id, within_s)

    def verdict(
        self, sending: Sending, terms: Terms, *, within_s: float = 420, names: Mapping[str, str] | None = None
    ) -> Verdict:
        """Wait until the books are closed and analytics was told; then check. `names`: of the erased, by contact id."""
        books = self.closed(sending, within_s)
        self.outside.until(
            lambda: self.outside.report(sending.id),
            lambda r: sum(r[one] for one in ("sent", "suppressed", "uncertain", "expired"))
            + sum(r["failed"].values()) + books["cancelled"] >= books["eligible"],
            120,
        )  # fmt: skip
        deadline = time.monotonic() + STILL_S
        while True:
            found = self._check(sending, terms, names or {})
            # What a mailer that came back knew better may be on its way once more; a copy too many never goes away.
            if found.held or time.monotonic() > deadline:
                return found
            time.sleep(3)

    def _check(self, sending: Sending, terms: Terms, names: Mapping[str, str]) -> Verdict:
        ledger = self.databases.ledger(sending.id)
        return check(
            Evidence(
                sending.wanted,
                [seen for seen in self.log(sending) if seen.recipient],
                [replace(one, recipient=names.get(one.recipient, one.recipient)) for one in ledger],
                self.outside.balance(sending.id),
                self.outside.report(sending.id),
                self.databases.facts(sending.id),
                self.databases.blocks(sending.id),
            ),
            terms,
        )

    def kill(self, process: str) -> None:
        """kill -9; the supervisor starts it again. `broker`: Kafka's, started again at once."""
        if process != "broker":
            self.stack.kill(process)
            return
        assert self.broker is not None
        self.broker.stop(signal.SIGKILL)
        self.broker.start()

    def attempting(self, sending: Sending) -> frozenset[str]:
        """Those whom the ledger has under an intent now."""
        return frozenset(one.recipient for one in self.databases.ledger(sending.id) if one.status == "attempting")

    def another(self, service: str, command: str) -> str:
        """One more process of a service, with the environment of the stack's own; its name."""
        name = f"{service}-{command}-{len(self.extra)}"
        model = self.stack.pid("mailer" if command == "mailer" else "all")
        raw = Path(f"/proc/{model}/environ").read_bytes().decode()
        environment = dict(pair.split("=", 1) for pair in raw.split("\0") if "=" in pair)
        environment |= {"BARID_INSTANCE": name, "BARID_HEALTH_PORT": str(free_port())}
        with (self.area / f"{name}.log").open("ab") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", service, command],
                env=environment, stdin=subprocess.DEVNULL, stdout=told, stderr=told,
            )  # fmt: skip
        ended_with_us(process)
        self.extra[name] = process
        return name

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End a process that was added; its status."""
        process = self.extra.pop(name)
        process.send_signal(signal.SIGCONT)
        process.send_signal(how)
        return process.wait(60)

    def settle(self) -> None:
        """After a row: nothing of its fault is left, nor what the mailer remembers of it."""
        self.end_extra()
        self.sink.script(self.seed)
        self.sink.tell(release=True)
        self.proxy.tell(mode="pass", delay_s=0, after_bytes=None)
        self.stack.kill("mailer", signal.SIGTERM)

    def end_extra(self) -> None:
        """End all that were added."""
        for name in list(self.extra):
            self.end(name)


@contextmanager
def bench(area: Path, bus: str, size: int, seed: int, **settings: str) -> Iterator[Bench]:
    """A stack with its sink and its proxy; ended at the end."""
    with ExitStack() as ending:
        area.mkdir(parents=True, exist_ok=True)
        area.chmod(0o711)  # PostgreSQL's own account must get through
        sink = SinkProcess(area / "sink.log")
        ending.callback(sink.stop)
        sink.log.touch()
        proxy = ProxyProcess(f"127.0.0.1:{sink.port}")
        ending.callback(proxy.stop)
        broker = None
        settings |= {"BARID_BUS": bus}
        if bus == "kafka":
            broker = Broker(area / "kafka")
            broker.start()
            ending.callback(lambda: broker.stop(signal.SIGKILL))
            settings |= {"BARID_KAFKA_BOOTSTRAP": broker.address}
        made_for_it = {
            "BARID_SMTP_URL": proxy.url,
            "BARID_RETRY_FIRST_S": str(RETRY_FIRST_S),
            "BARID_SMTP_DOT_TIMEOUT_S": str(DOT_TIMEOUT_S),
            "BARID_SEND_WINDOW": str(WINDOW),
            "BARID_SMTP_CONNECTIONS": str(CONNECTIONS),
            "BARID_ROUTE_NETWORKS": "127.0.0.0/8",
        }
        stack = start(area / "stack", **made_for_it | settings)
        ending.callback(stack.barid, "down")
        info = stack.info()
        outside = Outside(info["url"], info["token"])
        ending.enter_context(outside.http)
        made = Bench(bus, stack, outside, sink, proxy, area, size, seed, broker)
        ending.callback(made.end_extra)
        yield made


def stop(pid: int) -> None:
    """SIGSTOP."""
    os.kill(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """SIGCONT."""
    os.kill(pid, signal.SIGCONT)
