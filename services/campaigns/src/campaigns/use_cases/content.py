"""From a draft to a compiled mail, and the words for what is wrong with it."""

import asyncio

import asyncpg
from content.compile import compile_mail
from content.errors import ContentError
from content.model import CompiledMail, Footer, MailSource, Tracking

from campaigns.domain.drafts import Draft, Variant
from campaigns.domain.warnings import Warned
from campaigns.errors import CampaignIncomplete, InvalidContent

# What only a start insists on.
_FOOTER_CODES = frozenset({"unsubscribe_missing", "postal_address_missing"})


def _source(variants: list[Variant]) -> MailSource:
    return MailSource.model_validate(
        {
            "default": variants[0].id,
            "variants": [
                {**variant.model_dump(exclude_none=True), "preheader": variant.preheader or None}
                for variant in variants
            ],
        }
    )


async def check(draft: Draft) -> None:
    """A draft may lack whole parts, but what it has must compile. Raises InvalidContent."""
    written = [variant for variant in draft.variants() if _has_body(variant)]
    if written:
        titled = [one if one.subject.strip() else one.model_copy(update={"subject": "-"}) for one in written]
        await _compile(titled, None, Tracking())


async def compile_for_start(draft: Draft, workspace: asyncpg.Record) -> CompiledMail:
    """The mail as it will be sent: with footer, tracking and UTM. Raises CampaignIncomplete, InvalidContent."""
    variants = draft.variants()
    if not variants:
        raise CampaignIncomplete("The campaign has no content", mend="Give it html or mjml.", missing="content")
    for variant in variants:
        part = None if _has_body(variant) else "html"
        part = "subject" if not variant.subject.strip() else part
        if part:
            raise CampaignIncomplete(
                f"Variant {variant.id} has no {part}",
                mend=f"Give variant {variant.id} a {part}, or remove it.",
                missing=f"content.{part}",
                variant=variant.id,
            )
    if not (workspace["postal_address"] or "").strip():
        raise CampaignIncomplete(
            "The workspace has no postal address, which the law asks for in every campaign",
            mend="PATCH /v1/workspaces/{id} with its postal_address.",
            missing="workspace.postal_address",
        )
    return await _compile(variants, Footer(postal_address=workspace["postal_address"]), _tracking(draft))


async def compile_for_reading(draft: Draft, workspace: asyncpg.Record) -> CompiledMail:
    """The mail for a preview or a test: what a start would refuse in the footer is let pass. Raises as for a start."""
    variants = [variant for variant in draft.variants() if _has_body(variant)]
    if not variants:
        raise CampaignIncomplete("The campaign has no content", mend="Give it html or mjml.", missing="content")
    if (workspace["postal_address"] or "").strip():
        try:
            return await _compile(variants, Footer(postal_address=workspace["postal_address"]), _tracking(draft))
        except InvalidContent as error:
            if error.params.get("reason") not in _FOOTER_CODES:
                raise
    return await _compile(variants, None, _tracking(draft))


def warnings(mail: CompiledMail) -> list[Warned]:
    """What the compiler warns of."""
    return [
        Warned(code=one.code, message=one.message, params={"variant": one.variant, "part": one.part})
        for one in mail.warnings
    ]


async def _compile(variants: list[Variant], footer: Footer | None, tracking: Tracking) -> CompiledMail:
    try:
        # Off the loop: MJML and CSS of a long mail take long enough for other requests to notice.
        return await asyncio.to_thread(compile_mail, _source(variants), footer=footer, tracking=tracking)
    except ContentError as error:
        raise invalid(error) from error


def invalid(error: ContentError) -> InvalidContent:
    """The problem for an error of the compiler."""
    return InvalidContent(error.told, mend=error.mend or None, **error.params)


def _tracking(draft: Draft) -> Tracking:
    utm = {"utm_source": "barid", "utm_medium": "email", "utm_campaign": draft.name}
    return Tracking(opens=draft.tracking.opens, clicks=draft.tracking.clicks, utm=utm)


def _has_body(variant: Variant) -> bool:
    return any((part or "").strip() for part in (variant.html, variant.mjml, variant.text))
