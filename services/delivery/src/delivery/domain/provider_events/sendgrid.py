"""SendGrid's event webhook: a list of events, signed with ECDSA over the timestamp and the body as it came."""

import base64
import binascii
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from delivery.domain.bounces.verdicts import Verdict
from delivery.domain.claims import Matcher
from delivery.domain.provider_events.common import (
    LEFT,
    LEFT_ALL,
    MOST_EVENTS,
    Forged,
    Unreadable,
    claims,
    delayed,
    judgement,
    own_id,
    plainly,
    refused,
    softly,
    text,
)
from delivery.domain.returns import Returned, returned_id

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
# By which SendGrid names the message in its events (composing writes it): not all of them have a Message-ID.
ARGUMENT = "barid"


def public_key(written: str) -> EllipticCurvePublicKey:
    """The verification key as SendGrid shows it: base64 of DER. Raises ValueError."""
    try:
        key = load_der_public_key(base64.b64decode("".join(written.split()), validate=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("not a public key in base64, as SendGrid shows it") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("not a key for ECDSA")
    return key


def verified(headers: dict[str, str], body: bytes, key: str) -> None:
    """Raises Forged."""
    try:
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
        public_key(key).verify(signature, headers.get(TIMESTAMP, "").encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Forged from error


def returns(body: Any, matcher: Matcher, endpoint: str) -> list[Returned]:
    """Those of the events that tell what became of a message. Raises Unreadable."""
    if not isinstance(body, list) or len(body) > MOST_EVENTS:
        raise Unreadable(f"SendGrid sends a list of at most {MOST_EVENTS} events")
    found = []
    for event in body:
        verdict = _verdict(event)
        if verdict is None:
            continue
        about = claims(
            matcher.by_address(text(event, ARGUMENT)),
            matcher.by_address(text(event, "return_path")),
            matcher.by_message_id(text(event, "smtp-id")),
        )
        id_ = text(event, "sg_event_id") or own_id(event)
        said = judgement(text(event, "email"), verdict)
        found.append(Returned(returned_id("sendgrid", endpoint, id_), "sendgrid", (said,), about, vouched=True))
    return found


# Who joins a group again there has told SendGrid, not us: nothing is lifted by it.
_PLAIN = {
    "delivered": plainly("delivered", "delivered"),
    "spamreport": plainly("complaint", "abuse"),
    "unsubscribe": LEFT_ALL,
    "group_unsubscribe": LEFT,
}


def _verdict(event: Any) -> Verdict | None:
    reason, status = text(event, "reason"), text(event, "status")
    kind = text(event, "event")
    if kind == "bounce":
        verdict = refused(reason, status)
        return verdict if text(event, "type") != "blocked" else softly(verdict)
    if kind == "dropped":  # SendGrid did not try: the address is on a list of its own
        return plainly("soft", "inactive" if "bounce" in reason.lower() else "refused")
    if kind == "deferred":
        return delayed(text(event, "response"), status)
    return _PLAIN.get(kind)
