"""Valid bodies for operations whose schema does not say enough, and what the seeds make, in order.

`{sender_id}` becomes an id of the calling workspace, `{n}` a number of its own, `{tomorrow}`
a time. Uploads are httpx options.
"""

from typing import Any

_CAMPAIGN = {
    "name": "Nowruz {n}",
    "sender_id": "{sender_id}",
    "purpose": "newsletter",
    "audience": {
        "segment_ids": ["{segment_id}"],
        "list_ids": ["{list_id}"],
        "exclude_segment_ids": ["{segment_id}"],
    },
    "content": {
        "subject": "سلام",
        "html": '<p>سلام {{ first_name }}</p><a href="{{ unsubscribe_url }}">لغو</a>',
        "language": "fa",
    },
}

BODIES: dict[str, Any] = {
    "create_workspace": {"name": "Another {n}", "owner": {"email": "owner{n}@example.com"}},
    "update_workspace": {"name": "Renamed {n}"},
    "create_member": {"email": "member{n}@example.com", "name": "عضو", "role": "viewer"},
    "update_member": {"name": "Renamed {n}"},
    "create_token": {"name": "token {n}", "scopes": ["contacts:read"]},
    "create_sender": {"name": "Barid {n}", "email": "news{n}@example.com", "reply_to": "reply@example.com"},
    "update_sender": {"name": "Renamed {n}"},
    "create_purpose": {"key": "purpose-{n}", "wording": {"en": "A letter"}},
    "update_purpose": {"wording": {"fa": "نامه"}},
    "create_campaign": _CAMPAIGN,
    "update_campaign": {
        "name": "Renamed {n}",
        "sender_id": "{sender_id}",
        "audience": {"segment_ids": ["{segment_id}"]},
    },
    "schedule_campaign": {"at": "{tomorrow}"},
    "test_campaign": {"to": ["test@example.com"], "contact_id": "{contact_id}"},
    "preview_campaign": {"contact_id": "{contact_id}"},
}

SEEDS: dict[str, tuple[str, ...]] = {
    "campaigns": (
        "create_sender",
        "create_sender",
        "create_purpose",
        "create_member",
        "create_member",
        "create_token",
        "create_campaign",
        "create_campaign",
    ),
}
