"""Mailgun's webhooks: one event, with an HMAC over a time and a token of which each must be used for one event only."""

import hmac
import time
from typing import Any

from delivery.domain.bounces.verdicts import Verdict
from delivery.domain.claims import Matcher
from delivery.domain.provider_events.common import (
    LEFT_ALL,
    Forged,
    Unreadable,
    claims,
    delayed,
    judgement,
    plainly,
    refused,
    text,
)
from delivery.domain.returns import Returned, returned_id

# It repeats for eight hours.
WITHIN_S = 12 * 3600


def verified(body: Any, key: str, now: float | None = None) -> str:
    """The token, which vouches for this event and no other. Raises Forged."""
    timestamp, token = text(body, "signature", "timestamp"), text(body, "signature", "token")
    wanted = hmac.digest(key.encode(), (timestamp + token).encode("utf-8", "replace"), "sha256").hex()
    given = text(body, "signature", "signature")
    if not token or not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")):
        raise Forged
    if not timestamp.isdecimal() or abs((now or time.time()) - int(timestamp[:12])) > WITHIN_S:
        raise Forged
    return token


def event_id(body: Any) -> str:
    """The event's own id. Raises Unreadable."""
    found = text(body, "event-data", "id")
    if not found:
        raise Unreadable("Mailgun's event has no event-data.id")
    return found


def returns(body: Any, matcher: Matcher, endpoint: str) -> list[Returned]:
    """The event, if it tells what became of a message. Raises Unreadable."""
    id_, event = event_id(body), body["event-data"]
    verdict = _verdict(event)
    if verdict is None:
        return []
    about = claims(
        matcher.by_address(text(event, "envelope", "sender")),
        matcher.by_message_id(text(event, "message", "headers", "message-id")),
    )
    said = judgement(text(event, "recipient"), verdict)
    return [Returned(returned_id("mailgun", endpoint, id_), "mailgun", (said,), about, vouched=True)]


_PLAIN = {
    "delivered": plainly("delivered", "delivered"),
    "complained": plainly("complaint", "abuse"),
    "rejected": plainly("soft", "refused"),
    "unsubscribed": LEFT_ALL,
}


def _verdict(event: Any) -> Verdict | None:
    kind = text(event, "event")
    if kind != "failed":
        return _PLAIN.get(kind)
    reason, status = text(event, "reason"), event.get("delivery-status")
    code = str(status.get("code", "")) if isinstance(status, dict) else ""
    words = " ".join(filter(None, (code, text(status, "message") or text(status, "description"))))
    if text(event, "severity") == "temporary":
        return delayed(words, text(status, "enhanced-code"))
    if reason.startswith("suppress"):  # Mailgun did not try
        return plainly("soft", "inactive" if "bounce" in reason else "refused")
    return refused(words, text(status, "enhanced-code"))
