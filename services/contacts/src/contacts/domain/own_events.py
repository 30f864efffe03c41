"""The activity that contacts itself records beside that of mail: rules may name it, and nobody outside may tell it."""

from collections.abc import Mapping

from contacts.domain.values import AttributeType

PREFIXES = ("email.", "occasion.")

_ATTENDANCE: Mapping[str, AttributeType] = {
    "occasion_id": "text",
    "kind": "text",
    "title": "text",
    "before": "text",  # what the person's status was, if they had one
}

DEFINED: Mapping[str, Mapping[str, AttributeType]] = {
    "occasion.registered": _ATTENDANCE,
    "occasion.attended": _ATTENDANCE,
    "occasion.missed": _ATTENDANCE,
}
