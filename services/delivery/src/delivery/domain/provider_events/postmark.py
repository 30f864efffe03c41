"""Postmark's webhooks: one event, from who knows the user name and password that the address was given."""

import base64
import binascii
import hmac
from dataclasses import replace
from typing import Any

from delivery.domain.bounces.verdicts import Verdict
from delivery.domain.claims import Matcher
from delivery.domain.provider_events.common import (
    LEFT_ALL,
    Forged,
    Unreadable,
    claims,
    judgement,
    own_id,
    plainly,
    refused,
    softly,
    text,
)
from delivery.domain.returns import Returned, returned_id

# The header by which Postmark hands a message's own data back (composing writes it).
METADATA = "barid"
_WAITING = frozenset({"Transient", "DnsError", "SMTPApiError"})
_ANSWERS = frozenset({"AutoResponder", "ChallengeVerification", "AddressChange", "OpenRelayTest"})


def verified(headers: dict[str, str], username: str, password: str) -> None:
    """Raises Forged."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    try:
        said = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Forged from error
    if scheme.lower() != "basic" or not hmac.compare_digest(said, f"{username}:{password}".encode()):
        raise Forged


def returns(body: Any, matcher: Matcher, endpoint: str) -> list[Returned]:
    """The event, if it tells what became of a message. Raises Unreadable."""
    if not isinstance(body, dict):
        raise Unreadable("Postmark sends an object")
    verdict = _verdict(body)
    if verdict is None:
        return []
    recipient = text(body, "Email") or text(body, "Recipient")
    about = claims(
        matcher.by_address(text(body, "Metadata", METADATA)),
        matcher.by_message_id(text(body, "MessageID") + "@"),
        matcher.by_message_id(text(body, "Content")[:65536]),
    )
    kind = text(body, "RecordType")
    named = body.get("ID") or text(body, "MessageID") or own_id(body)
    id_ = " ".join(filter(None, (kind, str(named), recipient, text(body, "ChangedAt"))))
    return [
        Returned(
            returned_id("postmark", endpoint, id_), "postmark", (judgement(recipient, verdict),), about, vouched=True
        )
    ]


# A bounce and a complaint come as such too, where those webhooks are on; both are counted once.
_SUPPRESSED = {
    "ManualSuppression": LEFT_ALL,
    "SpamComplaint": plainly("complaint", "abuse"),
    "HardBounce": plainly("hard", "bad_mailbox"),
}
_PLAIN = {"Delivery": plainly("delivered", "delivered"), "SpamComplaint": plainly("complaint", "abuse")}


def _verdict(body: Any) -> Verdict | None:
    kind, why = text(body, "RecordType"), text(body, "Type")
    if kind == "SubscriptionChange":  # being let in again there lifts nothing here
        return _SUPPRESSED.get(text(body, "SuppressionReason")) if body.get("SuppressSending") is True else None
    if kind != "Bounce":
        return _PLAIN.get(kind)
    if why in _ANSWERS:
        return plainly("auto-reply", "auto_reply")
    verdict = refused(text(body, "Details"), "", text(body, "Description"))
    if why in _WAITING:
        return replace(softly(verdict), delayed=True)
    if why == "HardBounce" and verdict.reason in {"other", "refused"}:  # Postmark judged; the words say nothing else
        return Verdict("hard", "bad_mailbox", verdict.status, verdict.reply)
    return verdict if why == "HardBounce" else softly(verdict)
