"""A domain's API beside a DNS server, a zone that does what the API says, and mail as its receivers check it."""

import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dkim
import httpx
from common.sealing import Sealer
from common.settings import DEVELOPMENT_SEALING_KEYS
from common.testing.deliver import deliver
from delivery.main import create_app
from delivery.settings import Settings
from delivery.use_cases.signing import DomainKeys, Signer

from tests.fixtures.dns_server import DnsServer
from tests.fixtures.sending import MAIN, Campaign, mailing, until


@asynccontextmanager
async def api(
    service_env: Any, http_client: Any, database: Any, dns: DnsServer, token: str, **settings: str
) -> AsyncIterator[httpx.AsyncClient]:
    service_env("delivery", database, BARID_DNS_RESOLVERS=dns.address, BARID_DNS_TIMEOUT_S="4", **settings)
    async with http_client(create_app(Settings()), token) as client:
        yield client


def publish(dns: DnsServer, domain: Mapping[str, Any], *names: str) -> None:
    """Put the records of these checks, or of all, into the zone, by their lines of a zone file."""
    for check in domain["checks"]:
        for record in check["publish"] if not names or check["check"] in names else ():
            owner, _in, kind, *value = shlex.split(record["zone_line"].replace("(", "").replace(")", ""))
            text = "".join(value) if kind == "TXT" else " ".join(value)
            assert text.rstrip(".") == record["value"]
            dns.set(owner.rstrip("."), kind, text)


def by_check(domain: Mapping[str, Any]) -> dict[str, str]:
    """Check → status; a key's by its selector."""
    return {one["subject"] or one["check"]: one["status"] for one in domain["checks"]}


def own_keys(database: Any, fresh_s: float = 0.05) -> DomainKeys:
    """The keys as a mailer has them."""
    settings = Settings()
    assert settings.sealing_keys.get_secret_value() in {"", DEVELOPMENT_SEALING_KEYS}
    return DomainKeys(database.worker, Sealer(settings.sealing_key_ring()), fresh_s)


async def send(database: Any, smtp_server: Any, campaign: Campaign, signer: Signer, **more: Any) -> bytes:
    """Send the campaign to its one person; the mail as it came."""
    await deliver(database.worker, MAIN, campaign.events())
    async with mailing(database, smtp_server.port, signer=signer, **more):
        await until(database, campaign.id, sent=1)
    return bytes(smtp_server.taken[-1].body)


def signatures(mail: bytes) -> list[str]:
    """d= and s= of each signature, as `selector._domainkey.domain`."""
    found = []
    for header in mail.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").split(b"\r\n"):
        if header.startswith(b"DKIM-Signature:"):
            tags = dict(one.strip().split(b"=", 1) for one in header.partition(b":")[2].split(b";") if b"=" in one)
            found.append(f"{tags[b's'].decode()}._domainkey.{tags[b'd'].decode()}")
    return found


def verifies(dns: DnsServer, mail: bytes) -> list[bool]:
    """What a receiver that asks this DNS makes of each signature."""
    look: Callable[..., bytes | None] = lambda name, timeout=5: _text(dns.zone.get((name.decode().rstrip("."), "TXT")))  # noqa: E731
    verifier = dkim.DKIM(mail)
    return [verifier.verify(idx=n, dnsfunc=look) for n in range(len(signatures(mail)))]


def _text(values: Iterable[str] | None) -> bytes | None:
    return "".join("".join(shlex.split(value)) for value in values).encode() if values else None
