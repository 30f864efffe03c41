"""Ledger → mailer → SMTP → ledger → bus: personalised 20 KB multipart mail. Floor: a bare pipelined client.

Real processes: mailer, relay, PostgreSQL with the bus in it, and the sink. The sink is Debian's smtp-sink when it is on
the path, else an asyncio one, which takes a fixed body faster.
"""

import asyncio
import ssl
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from common.bus.kafka import KafkaOptions
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fixtures.certificates import self_made
from tests.load.figures import Figure
from tests.load.mailers import CONNECTIONS, SENDER, prepare, send_all, sink
from tests.load.server import database

MESSAGES = 20_000


async def run() -> list[Figure]:
    """The floor and the mailers, one after the other, on the same sink: plain, signed, over TLS, and two mailers."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        certificate, key = self_made(place)
        (place / "keys").mkdir()
        signing = rsa.generate_private_key(65537, 2048)
        (place / "keys" / f"s1._domainkey.{SENDER.partition('@')[2]}.pem").write_bytes(
            signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (place / "keys").chmod(0o700)
        async with database("bus") as bus:
            url = bus.worker_url
            figures = await measure("send", url)
            figures += await measure("send_two_mailers", url, mailers=2)
            signed = {"BARID_DKIM_KEYS": str(place / "keys"), "BARID_DKIM_DOMAINS": SENDER.partition("@")[2]}
            figures += await measure("send_dkim", url, env=signed)
            figures += await measure("send_tls", url, tls=(certificate, key), env={"SSL_CERT_FILE": str(certificate)})
    return figures


async def measure(
    name: str,
    bus: KafkaOptions | str,
    *,
    mailers: int = 1,
    env: Mapping[str, str] | None = None,
    tls: tuple[Path, Path] | None = None,
) -> list[Figure]:
    """One row: messages a second of the whole machine, and the mailers' CPU for one of them."""
    context = None if tls is None else ssl.create_default_context(cafile=str(tls[0]))
    async with sink(tls) as port, database("delivery") as db:
        await prepare(db, MESSAGES)
        floor = await bare_pipelined(port, b"x: y\r\n\r\n" + (b"a" * 76 + b"\r\n") * (20_000 // 78), MESSAGES, context)
        url = f"{'smtp' if tls is None else 'smtps'}://127.0.0.1:{port}"
        sent = await send_all(db, bus, url, MESSAGES, mailers=mailers, env=env)
    return [
        Figure(name, MESSAGES / sent.seconds, "msg/s", MESSAGES, round(sent.seconds, 3), floor),
        Figure(f"{name}_cpu_us", sent.cpu_s / MESSAGES * 1e6, "µs/msg", MESSAGES, round(sent.seconds, 3)),
    ]


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
