"""A mail provider that tells by webhook what became of messages, as SendGrid does: a signed list of events."""

import base64
import json
import time

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.chaos.bench import SENDING_DOMAIN, Bench
from tests.chaos.checker import Seen

Event = dict[str, object]


class SendGrid:
    """One that Barid was told to trust."""

    def __init__(self, bench: Bench) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        shown = base64.b64encode(public).decode()
        body = {"provider": "sendgrid", "name": f"s{time.time_ns()}", "verification_key": shown}
        self._url = bench.outside.call("POST", "/v1/bounces/endpoints", json=body)["url"]

    def tell(self, events: list[Event], key: ec.EllipticCurvePrivateKey | None = None) -> tuple[int, float]:
        """Give a list of events, signed by this provider unless by another's key: the status, and how long it took."""
        raw, now = json.dumps(events).encode(), str(int(time.time()))
        signature = base64.b64encode((key or self._key).sign(now.encode() + raw, ec.ECDSA(SHA256()))).decode()
        headers = {"X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": now}
        began = time.monotonic()
        answer = httpx.post(self._url, content=raw, headers=headers, timeout=60)
        return answer.status_code, time.monotonic() - began


def event(kind: str, seen: Seen) -> Event:
    """An event about a mail that the sink has; each kind once, under its own id."""
    about: Event = {
        "event": kind,
        "email": seen.recipient,
        "smtp-id": f"<{seen.message_id}@{SENDING_DOMAIN}>",
        "timestamp": int(seen.t),
        "sg_event_id": f"{kind}-{seen.message_id}",
    }
    if kind == "bounce":
        about |= {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}
    return about
