"""Looking at a mail before it goes out: previews and test mails, through the code that makes the real ones."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from common.contracts.campaigns import RequestedRecipient
from common.db.pool import Connection
from common.ids import new_id
from content.choose import variant_for
from content.model import CompiledMail, CompiledVariant
from content.render import RenderContext, Rendered, render

from campaigns import events
from campaigns.domain.addresses import valid_address
from campaigns.domain.drafts import Draft
from campaigns.domain.samples import lead_fields, nested, sample_fields
from campaigns.errors import CampaignIncomplete, UnknownVariant
from campaigns.use_cases import campaigns, content, projections, senders, workspaces

SAMPLE_ADDRESS = "sara@example.org"


@dataclass(frozen=True, slots=True)
class Preview:
    """A mail as one recipient would get it."""

    variant: CompiledVariant
    rendered: Rendered
    warnings: list[str]


async def preview(
    tx: Connection, row: asyncpg.Record, contact_id: UUID | None, variant_id: str | None, public_url: str
) -> Preview:
    """The mail for a contact, or for sample fields. Raises ContactNotFound, UnknownVariant, and as a start does."""
    draft = campaigns.draft_of(row)
    mail = await _compiled(tx, row, draft)
    if contact_id is None:
        variant = _variant(mail, variant_id or mail.default)
        fields = sample_fields(mail.fields, SAMPLE_ADDRESS, variant.language)
    else:
        lead = await projections.require_lead(tx, row["workspace_id"], contact_id)
        variant = _variant(mail, variant_id or variant_for(mail, lead.get("language")))
        fields = lead_fields(lead, mail.fields)
    context = RenderContext(
        fields=nested(fields),
        unsubscribe_url=f"{public_url}/u/preview",
        preferences_url=f"{public_url}/p/preview",
        browser_url=f"{public_url}/b/preview",
    )
    rendered = await asyncio.to_thread(render, mail, variant.id, context)
    return Preview(variant, rendered, [f"{w.variant}, {w.part}: {w.message}" for w in mail.warnings])


async def send_test(
    tx: Connection, row: asyncpg.Record, to: Sequence[str], contact_id: UUID | None, variant_id: str | None
) -> UUID:
    """Ask delivery for a test mail to each address; the request's id. Raises as `preview`, CampaignIncomplete."""
    draft = campaigns.draft_of(row)
    if draft.sender_id is None:
        raise CampaignIncomplete(
            "The campaign has no sender", mend="PATCH the campaign with a sender_id.", missing="sender_id"
        )
    addresses = list(dict.fromkeys(valid_address(address, f"to[{n}]") for n, address in enumerate(to)))
    sender = await senders.require(tx, row["workspace_id"], draft.sender_id)
    mail = await _compiled(tx, row, draft)
    variant = _variant(mail, variant_id) if variant_id else None
    language = variant.language if variant else _variant(mail, mail.default).language
    lead = None
    if contact_id is not None:
        lead = await projections.require_lead(tx, row["workspace_id"], contact_id)
        language = language if variant else (lead.get("language") or language)
    recipients = [
        RequestedRecipient(
            email=address,
            language=language,
            fields=lead_fields(lead, mail.fields) if lead else sample_fields(mail.fields, address, language),
        )
        for address in addresses
    ]
    request_id = new_id()
    await events.test_requested(
        tx, request_id, row, sender, mail.payload(), recipients, variant.id if variant else None
    )
    return request_id


async def _compiled(tx: Connection, row: asyncpg.Record, draft: Draft) -> CompiledMail:
    workspace = await workspaces.require(tx, row["workspace_id"])
    return await content.compile_for_reading(draft, workspace)


def _variant(mail: CompiledMail, variant_id: str) -> CompiledVariant:
    for variant in mail.variants:
        if variant.id == variant_id:
            return variant
    raise UnknownVariant(
        f"The content has no variant {variant_id!r}",
        mend="Use one of: " + ", ".join(variant.id for variant in mail.variants),
        variant=variant_id,
    )
