"""Ledger → mailer → SMTP → ledger: personalised 20 KB multipart mail, with events. Floor: a bare pipelined client.

The sink is Debian's smtp-sink when it is on the path, else an asyncio one in a process of its own.
"""

import asyncio
import base64
import contextlib
import os
import resource
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from common.clock import SYSTEM_CLOCK
from common.contracts.audiences import AudienceBatchV1, AudienceClosedV1, Recipient
from common.contracts.campaigns import AudienceRule, CampaignStartedV1, CampaignStateV1, Sender
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from content.compile import compile_mail
from content.model import MailSource
from cryptography.hazmat.primitives.asymmetric import rsa
from delivery.consumers.subscriptions import consumers
from delivery.domain.dkim import SigningKey
from delivery.domain.tokens import TokenKeys
from delivery.smtp.route import Route
from delivery.use_cases.composing import Composer
from delivery.use_cases.sending import Mailer, SendingOptions
from delivery.use_cases.signing import Signer

from tests.fixtures.access import LINK_KEYS, PEPPER
from tests.fixtures.certificates import self_made
from tests.fixtures.databases import ServiceDatabase
from tests.load.figures import Figure
from tests.load.server import database

MESSAGES = 6000
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


async def run() -> list[Figure]:
    """The floor and the mailer, one after the other, on the same sink: plain, signed, and over TLS."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = self_made(Path(folder))
        # What the route trusts is read once in a process, so that this comes before anything.
        os.environ["SSL_CERT_FILE"] = str(certificate)
        signer = Signer({SENDER.partition("@")[2]: [SigningKey(SENDER.partition("@")[2], "s1", _rsa())]})
        figures = await measure("send")
        figures += await measure("send_dkim", signer=signer)
        figures += await measure("send_tls", tls=(certificate, key))
    return figures


async def measure(name: str, *, signer: Signer | None = None, tls: tuple[Path, Path] | None = None) -> list[Figure]:
    """One row: messages a second of the whole machine, and the mailer's CPU for one of them."""
    context = None if tls is None else ssl.create_default_context(cafile=str(tls[0]))
    async with sink(tls) as port, database("delivery") as db:
        await prepare(db, MESSAGES)
        floor = await bare_pipelined(port, b"x: y\r\n\r\n" + (b"a" * 76 + b"\r\n") * (20_000 // 78), MESSAGES, context)
        before = resource.getrusage(resource.RUSAGE_SELF)
        seconds = await send_all(db, f"{'smtp' if tls is None else 'smtps'}://127.0.0.1:{port}", MESSAGES, signer)
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / MESSAGES * 1e6
    return [
        Figure(name, MESSAGES / seconds, "msg/s", MESSAGES, round(seconds, 3), floor),
        Figure(f"{name}_cpu_us", cpu, "µs/msg", MESSAGES, round(seconds, 3)),
    ]


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
    async with db.worker.connection() as connection:
        await connection.execute("analyze")


async def send_all(db: ServiceDatabase, url: str, messages: int, signer: Signer | None = None) -> float:
    """Seconds until every outcome is in the ledger."""
    keys = TokenKeys({"k1": base64.b64decode(LINK_KEYS.partition(":")[2])})
    composer = Composer(db.worker, keys, "https://mail.example", SYSTEM_CLOCK, signer=signer)
    options = SendingOptions(name="bench", connections=CONNECTIONS)
    mailer = Mailer(db.worker, Route.parse(url), composer, options, SYSTEM_CLOCK, Random(1))
    stop = asyncio.Event()
    started = time.perf_counter()
    task = asyncio.create_task(mailer.run(stop))
    async with db.worker.connection() as connection:
        while True:
            await asyncio.sleep(0.1)
            sent = await connection.fetchval("select coalesce(sum(n), 0) from message_counts where status = 'sent'")
            if sent >= messages:
                break
            if task.done():
                task.result()
    took = time.perf_counter() - started
    stop.set()
    await task
    async with db.worker.connection() as connection:
        told = await connection.fetchval("select count(*) from outbox where topic = 'email.sent'")
        if told != messages:
            raise AssertionError(f"{told} events for {messages} messages")
    return took


async def bare_pipelined(port: int, body: bytes, messages: int, context: ssl.SSLContext | None = None) -> float:
    """Messages a second of a client that writes a fixed body and waits for nothing it need not."""
    per_connection = messages // CONNECTIONS

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await reader.readline()
        writer.write(b"EHLO bench\r\n")
        while (await reader.readline())[3:4] == b"-":
            pass
        for n in range(per_connection):
            writer.write(b"MAIL FROM:<news@shop.example>\r\nRCPT TO:<user%d@example.com>\r\nDATA\r\n" % n)
            for _ in range(3):
                await reader.readline()
            writer.write(body + b".\r\n")
            await reader.readline()
        writer.write(b"QUIT\r\n")
        await reader.readline()
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return per_connection * CONNECTIONS / (time.perf_counter() - started)


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


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
