"""What the tests of public pages share: links as mails have them, a workspace with purposes and a sender."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.contracts.campaigns import MessageRequestedV1, Purpose, SenderChangedV1, WorkspaceChangedV1
from common.db.pool import Database
from common.ids import new_id, purpose_id
from common.link_tokens import LinkToken, TokenKeys
from common.testing.deliver import outbox_events
from contacts.db import senders, workspaces

from tests.fixtures.access import LINK_KEYS

KEYS = TokenKeys({"k1": base64.b64decode(LINK_KEYS.partition(":")[2])})
WORDINGS = {
    "newsletter": {"en": "Our monthly letter", "ar": "رسالتنا الشهرية", "fa": "نامهٔ ماهانهٔ ما"},
    "offers": {"en": "Offers and sales", "ar": "العروض والتخفيضات", "fa": "پیشنهادها و حراج‌ها"},
}


@dataclass(frozen=True)
class Shop:
    """A workspace that campaigns has told of."""

    id: UUID
    sender_id: UUID

    def purpose(self, key: str = "newsletter") -> UUID:
        return purpose_id(self.id, key)


async def open_shop(db: Database, workspace_id: UUID) -> Shop:
    shop = Shop(workspace_id, new_id())
    told = WorkspaceChangedV1(
        workspace_id=workspace_id, revision=1, name="Caravan کاروان", postal_address="12 Silk Road, Isfahan",
        languages=["en", "ar", "fa"],
        purposes=[
            Purpose(id=shop.purpose(key), key=key, version=2, wording=wording) for key, wording in WORDINGS.items()
        ],
    )  # fmt: skip
    sender = SenderChangedV1(sender_id=shop.sender_id, revision=1, name="Caravan", email="news@caravan.example")
    async with db.transaction() as tx:
        await workspaces.put(tx, [told])
        await senders.put(tx, [(workspace_id, sender)])
    return shop


def link(purpose: str, workspace_id: UUID, contact_id: str | None, **more: Any) -> str:
    given = {
        "purpose": purpose, "kind": "campaign", "workspace_id": workspace_id, "message_id": new_id(),
        "contact_id": UUID(contact_id) if contact_id else None, "campaign_id": None, "purpose_id": None,
        "sent_at": datetime.now(UTC), **more,
    }  # fmt: skip
    return KEYS.sign(LinkToken(**given))


async def asked(db: Database) -> list[MessageRequestedV1]:
    """The mails that were asked for."""
    return [event.data for event in await outbox_events(db) if isinstance(event.data, MessageRequestedV1)]
