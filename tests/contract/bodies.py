"""Valid bodies for operations whose schema does not say enough, and what the seeds make, in order.

`{sender_id}` becomes an id of the calling workspace, `{contact_id:2}` another one, `{n}` a number of its own,
`{tomorrow}` a time. Uploads are httpx options.
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

_RULE = {
    "all": [
        {"field": "language", "op": "eq", "value": "fa"},
        {"any": [{"list": "{list_id}"}, {"not": {"list": "{list_id}"}}]},
    ]
}
_CSV = "Email,City\nsara{n}@example.com,تهران\nnot an address,الرياض\n"

_MAPPING = {
    "type": {"path": "kind", "map": {"paid": "order.placed"}}, "contact": {"email": {"path": "customer.email"}},
    "id": {"path": "id"}, "properties": {"total": {"path": "total", "as": "number"}},
}  # fmt: skip

BODIES: dict[str, Any] = {
    "create_source": {
        "name": "shop {n}",
        "signature": {"scheme": "hmac", "secret": "s3cret-of-{n}"},
        "mapping": _MAPPING,
    },
    "put_source_mapping": _MAPPING,
    "test_source_mapping": {"mapping": _MAPPING, "payload": {"kind": "paid", "id": "{n}"}},
    "replay_source_deliveries": {"failed": True},
    "create_event_definition": {"name": "webinar.attended{n}", "properties": {"minutes": "number"}},
    "create_occasion": {
        "kind": "webinar",
        "title": "وبینار {n}",
        "starts_at": "2026-01-05T10:00:00Z",
        "ends_at": "2026-01-05T11:00:00Z",
    },
    "add_occasion_attendees": {"status": "attended", "attendees": [{"contact": {"id": "{contact_id}"}}]},
    "create_site": {"name": "Shop {n}", "origins": ["https://shop.example"]},
    "create_attribute": {"name": "city{n}", "type": "text"},
    "create_contact_note": {"text": "دیدار در نمایشگاه {n}"},
    "create_bulk_change": {"rule": {"field": "language", "op": "eq", "value": "fa"}, "add_tags": ["expo"]},
    "create_contact": {"email": "علی{n}@example.com", "first_name": "علی", "attributes": {}, "tags": ["expo"]},
    "put_contact": {"email": "put{n}@example.com"},
    "update_contact": {"first_name": "سارا"},
    "create_segment": {"name": "Segment {n}", "rule": _RULE},
    "preview_segment": {"rule": _RULE},
    "create_snapshot": {"name": "Snapshot {n}"},
    "explain_segment": {"contact_id": "{contact_id}"},
    "update_segment": {"name": "Segment {n}", "rule": _RULE},
    "create_suppression": {"email": "never{n}@example.com"},
    "create_consent": {"contact_id": "{contact_id}", "status": "subscribed", "source": "by telephone"},
    "create_form": {
        "name": "Letter {n}",
        "languages": ["fa"],
        "texts": {"fa": {"title": "نامه"}},
        "fields": [{"name": "first_name", "label": {"fa": "نام"}}],
        "list_ids": ["{list_id}"],
        "sender_id": "{sender_id}",
    },
    "update_form": {"name": "Renamed {n}", "list_ids": ["{list_id}"]},
    "request_confirmation": {"contact_id": "{contact_id}", "sender_id": "{sender_id}", "source": "expo {n}"},
    "create_import": {
        "files": {"file": ("people.csv", _CSV, "text/csv")},
        "data": {"options": {"mapping": {"Email": "email"}, "list_ids": ["{list_id}"]}},
    },
    "create_merge": {"contact_id": "{contact_id}", "merged_contact_id": "{contact_id:2}"},
    "inspect_import": {
        "files": {"file": ("people.csv", _CSV, "text/csv")},
        "data": {"options": {"create_attributes": True}},
    },
    "create_privacy_request": {"kind": "export", "contact_id": "{contact_id}"},
    "import_suppressions": {
        "files": {"file": ("list.txt", "left{n}@example.com\nnobody\n", "text/plain")},
        "data": {"kind": "address"},
    },
    "create_export": {"segment_id": "{segment_id}", "format": "csv", "mode": "spreadsheet", "columns": ["email"]},
    "create_message": {
        "sender_id": "{sender_id}",
        "to": [{"email": "sara{n}@example.com", "language": "fa", "fields": {"first_name": "سارا"}}],
        "content": {"subject": "رسید", "text": "سلام {{ first_name }}", "language": "fa"},
    },
    "create_route": {"name": "Relay {n}", "host": "smtp.example.org", "username": "me", "password": "a secret"},
    "put_warmup": {"daily": [50, 100, 200]},
    "update_route": {"weight": 2},
    "resolve_message": {"outcome": "sent"},
    "create_bounce_endpoint": {"provider": "mailgun", "name": "Mailgun {n}", "signing_key": "key-of-the-tests-{n}"},
    "create_domain": {"domain": "shop{n}.example", "ed25519": True},
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
    "create_conversions": [
        {
            "id": "order-{n}",
            "contact_id": "{contact_id}",
            "campaign_id": "{campaign_id}",
            "amount": "49.90",
            "currency": "EUR",
            "occurred_at": "2026-03-20T17:30:00Z",
        }
    ],
    "update_conversion": {"refunded": "10", "campaign_id": "{campaign_id}"},
}

SEEDS: dict[str, tuple[str, ...]] = {
    "contacts": (
        "create_attribute",
        "create_event_definition",
        "create_event_definition",
        "create_occasion",
        "create_occasion",
        "create_source",
        "create_source",
        "create_site",
        "create_site",
        *["create_contact"] * 5,
        "create_contact",
        "create_contact",
        "create_contact_note",
        "create_bulk_change",
        "create_list",
        "create_list",
        "add_list_members",
        "create_segment",
        "create_segment",
        "create_snapshot",
        "create_snapshot",
        "create_suppression",
        "create_suppression",
        "create_consent",
        "create_form",
        "create_form",
        "create_import",
        "create_import",
        "create_export",
        "create_export",
        "create_privacy_request",
        "create_merge",
        "create_merge",
    ),
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
    "analytics": ("create_conversions", "create_conversions"),
    "delivery": (
        "create_domain",
        "create_domain",
        "put_warmup",
        "create_route",
        "create_route",
        "create_bounce_endpoint",
        "create_bounce_endpoint",
    ),
}
