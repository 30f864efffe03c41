"""The activity that contacts itself records beside that of mail: rules may name it, and nobody outside may tell it."""

from collections.abc import Mapping

from contacts.domain.values import AttributeType

PREFIXES = ("email.", "occasion.", "session.", "page.", "file.")

_ATTENDANCE: Mapping[str, AttributeType] = {
    "occasion_id": "text",
    "kind": "text",
    "title": "text",
    "before": "text",  # what the person's status was, if they had one
}

_PAGE: Mapping[str, AttributeType] = {
    "site": "text",
    "url": "text",
    "path": "text",
    "title": "text",
    "session": "text",
    "bot": "text",  # the name of the machine that it was
}
_ORIGIN: Mapping[str, AttributeType] = {
    "referrer": "text",
    "utm_source": "text",
    "utm_medium": "text",
    "utm_campaign": "text",
    "utm_term": "text",
    "utm_content": "text",
}

DEFINED: Mapping[str, Mapping[str, AttributeType]] = {
    "occasion.registered": _ATTENDANCE,
    "occasion.attended": _ATTENDANCE,
    "occasion.missed": _ATTENDANCE,
    "session.started": {**_PAGE, **_ORIGIN},
    "page.viewed": {**_PAGE, **_ORIGIN},
    "page.read": {**_PAGE, "seconds": "number"},
    "file.downloaded": _PAGE,
}
