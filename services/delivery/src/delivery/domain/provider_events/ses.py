"""Amazon SES over SNS: a notice in an envelope that SNS signs with a certificate of its own (version 1 and 2).

Any account can make SNS sign what it likes, so a signature counts only for the topic that the endpoint names. The
certificate comes from Amazon's hosts alone, and the address that confirms a subscription is not the one the message
names: it is made from what was verified.
"""

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from delivery.domain.bounces.notices import told_by
from delivery.domain.bounces.verdicts import Verdict
from delivery.domain.claims import Matcher
from delivery.domain.provider_events.common import (
    LEFT,
    LEFT_ALL,
    Forged,
    Unreadable,
    claims,
    items,
    judgement,
    own_id,
    plainly,
    text,
)
from delivery.domain.returns import Returned, returned_id

_CERTIFICATE = re.compile(
    r"https://sns\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?/SimpleNotificationService-[0-9a-f]{32}\.pem"
)
TOPIC = re.compile(r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


def certificate_url(body: Any, topic: str) -> str:
    """Where the certificate is, of a message of this topic. Raises Forged."""
    url = text(body, "SigningCertURL")
    if not _CERTIFICATE.fullmatch(url) or text(body, "TopicArn") != topic:
        raise Forged
    return url


def verified(body: Any, certificate: bytes) -> None:
    """Raises Forged."""
    names = _SIGNED.get(text(body, "Type"))
    if names is None:
        raise Forged
    signed = "".join(f"{name}\n{text(body, name)}\n" for name in names if name != "Subject" or name in body)
    digest = {"1": SHA1, "2": SHA256}.get(text(body, "SignatureVersion"))
    try:
        key = load_pem_x509_certificate(certificate).public_key()
        signature = base64.b64decode(text(body, "Signature"), validate=True)
        if digest is None or not isinstance(key, RSAPublicKey):
            raise Forged
        key.verify(signature, signed.encode(), PKCS1v15(), digest())
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Forged from error


def confirmation(body: Any) -> str | None:
    """The address that confirms the subscription which a verified message asks about; None if it asks about none."""
    if text(body, "Type") != "SubscriptionConfirmation":
        return None
    topic = text(body, "TopicArn")
    found = TOPIC.fullmatch(topic)
    if found is None:
        return None
    host = f"sns.{found[2]}.amazonaws.com" + (".cn" if found[1] == "aws-cn" else "")
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": topic, "Token": text(body, "Token")})
    return f"https://{host}/?{query}"


def returns(body: Any, matcher: Matcher, endpoint: str) -> list[Returned]:
    """What a notification of SES tells; nothing for other messages. Raises Unreadable."""
    if text(body, "Type") != "Notification":
        return []
    try:
        notice = json.loads(text(body, "Message"))
    except (ValueError, RecursionError) as error:
        raise Unreadable("the message in SNS's envelope is not SES's") from error
    told = told_by(notice) or [(one, verdict) for verdict in _told_here(notice) for one in _recipients(notice)]
    if not told:
        return []
    headers = [(text(one, "name").lower(), text(one, "value")) for one in items(notice, "mail", "headers")]
    about = claims(
        matcher.by_address(text(notice, "mail", "source")),
        *(matcher.by_link(value) for name, value in headers if name == "list-unsubscribe"),
        *(matcher.by_message_id(value) for name, value in headers if name == "message-id"),
        matcher.by_message_id(text(notice, "mail", "commonHeaders", "messageId")),
    )
    kind = (text(notice, "notificationType") or text(notice, "eventType")).lower()
    feedback = text(notice, kind, "feedbackId") or text(notice, kind, "timestamp") or own_id(notice)
    id_ = f"{kind} {text(notice, 'mail', 'messageId')} {feedback}"
    return [
        Returned(
            returned_id("ses", endpoint, id_),
            "ses",
            tuple(judgement(recipient, verdict) for recipient, verdict in told),
            about,
            vouched=True,
        )
    ]


def _told_here(notice: Any) -> list[Verdict]:
    """What only events tell, which name their recipients as those of the mail."""
    kind = text(notice, "eventType")
    if kind == "Reject":  # SES found malware in what it had taken
        return [plainly("soft", "content")]
    if kind != "Subscription":
        return []
    wanted = notice["subscription"].get("newTopicPreferences") if isinstance(notice.get("subscription"), dict) else None
    if isinstance(wanted, dict) and wanted.get("unsubscribeAll") is True:
        return [LEFT_ALL]
    topics = items(wanted, "topicSubscriptionStatus") or items(wanted, "topicDefaultSubscriptionStatus")
    return [LEFT] if any(text(one, "subscriptionStatus") == "OptOut" for one in topics) else []


def _recipients(notice: Any) -> list[str]:
    return [one for one in items(notice, "mail", "destination") if isinstance(one, str)]
