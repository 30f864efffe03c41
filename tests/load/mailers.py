"""A campaign in the ledger, an SMTP server that takes everything, and the processes that send the one to the other."""

import asyncio
import base64
import contextlib
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from common.bus.kafka import KafkaOptions
from common.contracts.audiences import AudienceBatchV1, AudienceClosedV1, Recipient
from common.contracts.campaigns import AudienceRule, CampaignStartedV1, CampaignStateV1, Sender
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from content.compile import compile_mail
from content.model import MailSource
from delivery.consumers.subscriptions import consumers

from tests.fixtures.access import LINK_KEYS, PEPPER
from tests.fixtures.databases import ServiceDatabase
from tests.load.processes import cpu_s, reached, resident_mb, running

CONNECTIONS = 8
SENDER = "news@shop.example"
# By its path: the package it is in brings all of the tests' fixtures with it.
SINK = Path(__file__).parents[1] / "fixtures" / "plain_sink.py"
_GREETING = "<p>Dear {{ first_name }} {{ last_name }}, the caravan leaves {{ attributes.city }} on Thursday.</p>"
_PARAGRAPH = f"<p>{'Every relay station keeps fresh horses, and the mail does not wait for the weather. ' * 5}</p>"
_LINKS = "".join(f'<p><a href="https://shop.example/offer/{n}">offer {n}</a></p>' for n in range(6))
HTML = (
    f"<html><body>{_GREETING}{_PARAGRAPH * 22}{_LINKS}"
    '<p><a href="{{ unsubscribe_url }}">unsubscribe</a></p></body></html>'
)


@dataclass(frozen=True)
class Sent:
    """What it took: seconds until the last event was on the bus, the mailers' CPU, and their memory at the end."""

    seconds: float
    cpu_s: float
    resident_mb: float


async def prepare(db: ServiceDatabase, messages: int) -> None:
    """A campaign with its audience, through the consumer."""
    pepper = base64.b64decode(PEPPER)
    main = consumers(pepper)[0]
    workspace, campaign = new_id(), new_id()
    content = compile_mail(MailSource.model_validate({"subject": "News for {{ first_name }}", "html": HTML}))
    started = CampaignStartedV1(
        campaign_id=campaign,
        name="bench",
        purpose_id=purpose_id(workspace, "newsletter"),
        sender=Sender(name="Shop", email=SENDER),
        audience=AudienceRule(),
        content=content.payload(),
    )
    await deliver(db.worker, main, [Outgoing(workspace, started)])
    for n, start in enumerate(range(0, messages, 500)):
        people = [
            Recipient(
                contact_id=new_id(),
                email=f"user{i}@{'gmail.com' if i % 3 else 'example.com'}",
                language="en",
                tracking="individual",
                fields={"first_name": f"Ann{i}", "last_name": "Hariri", "attributes.city": "تهران"},
            )
            for i in range(start, min(start + 500, messages))
        ]
        batch = AudienceBatchV1(campaign_id=campaign, n=n, recipients=people)
        await deliver(db.worker, main, [Outgoing(workspace, batch)])
    closed = AudienceClosedV1(campaign_id=campaign, audience=messages, excluded={}, eligible=messages, batches=1)
    state = CampaignStateV1(campaign_id=campaign, state="running", revision=1)
    await deliver(db.worker, main, [Outgoing(workspace, closed), Outgoing(workspace, state)])


async def send_all(
    db: ServiceDatabase,
    bus: KafkaOptions | str,
    url: str,
    messages: int,
    *,
    mailers: int = 1,
    env: Mapping[str, str] | None = None,
) -> Sent:
    """Send what waits in the ledger by real processes, from when every mailer has its lease."""
    settings = {
        **reached(bus),
        "DELIVERY_WORKER_DATABASE_URL": db.worker_url,
        "BARID_LINK_KEYS": LINK_KEYS,
        "BARID_PEPPER": PEPPER,
        "BARID_PUBLIC_URL": "https://mail.example",
        "BARID_SMTP_URL": url,
        "BARID_SMTP_CONNECTIONS": str(CONNECTIONS),
        **(env or {}),
    }
    async with AsyncExitStack() as stack, db.worker.connection() as connection:
        await connection.execute("update mailings set active = false")
        await stack.enter_async_context(running("delivery", "relay", env=settings))
        pids = [await stack.enter_async_context(running("delivery", "mailer", env=settings)) for _ in range(mailers)]
        await _until(connection, "select count(*) = $1 from mailers", mailers)
        await _until(connection, "select not exists (select from outbox)")
        used, started = sum(map(cpu_s, pids)), time.perf_counter()
        await connection.execute("update mailings set active = true")
        await _until(connection, "select coalesce(sum(n), 0) >= $1 from message_counts where status = 'sent'", messages)
        await _until(connection, "select not exists (select from outbox where topic = 'email.sent')")
        took = time.perf_counter() - started
        left = await connection.fetchval("select count(*) from messages where status <> 'sent'")
        if left:
            raise AssertionError(f"{left} messages were not sent")
        return Sent(took, sum(map(cpu_s, pids)) - used, max(map(resident_mb, pids)))


async def _until(connection: object, query: str, *arguments: object) -> None:
    async with asyncio.timeout(1200):
        while not await connection.fetchval(query, *arguments):  # type: ignore[attr-defined] # noqa: ASYNC110
            await asyncio.sleep(0.05)


@asynccontextmanager
async def sink(tls: tuple[Path, Path] | None = None) -> AsyncIterator[int]:
    """An SMTP server that takes everything, in another process; with a certificate and its key, over TLS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    binary = None if tls else shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    command = [binary, "-u", "nobody", "-c", f"127.0.0.1:{port}", "200"] if binary else None
    if command is None:
        command = [sys.executable, str(SINK), str(port), *map(str, tls or ())]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.kill()
        await process.wait()
