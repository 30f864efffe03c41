"""Ledger rows → events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.delivery import DeliveryHeldV1, DomainChangedV1
from common.contracts.email import (
    EmailBouncedV1,
    EmailComplainedV1,
    EmailData,
    EmailDeferredV1,
    EmailDeliveredV1,
    EmailExpiredV1,
    EmailFailedV1,
    EmailRepliedV1,
    EmailSentV1,
    EmailSuppressedV1,
    EmailUncertainV1,
    SmtpReply,
)
from common.contracts.envelope import Received
from common.contracts.leads import ErasureDoneV1, LeadErasedV1
from common.db.pool import Connection
from common.outbox.writer import Outgoing, record

from delivery.db import mailings
from delivery.domain.returns import Decision, Returned

NO_BLOCKS: Mapping[UUID, UUID] = {}


@dataclass(frozen=True, slots=True)
class Counting:
    """A return that changes something: its message with what events say of it, and what was decided."""

    row: asyncpg.Record
    returned: Returned
    decision: Decision


async def statuses(tx: Connection, rows: Sequence[asyncpg.Record], block_ids: Mapping[UUID, UUID] = NO_BLOCKS) -> None:
    """Tell of rows as they are now; those in a state that is nobody's business (pending, cancelled) are left out."""
    told = [row for row in rows if row["status"] in _BUILDERS]
    if not told:
        return
    known = "purpose_id" in told[0].keys()  # noqa: SIM118 - without keys() a record looks at its values
    facts = {} if known else await mailings.facts(tx, list({(row["workspace_id"], row["mailing_id"]) for row in told}))
    outgoing = []
    for row in told:
        mailing = row if known else facts[(row["workspace_id"], row["mailing_id"])]
        common = {
            "message_id": row["id"],
            "kind": row["kind"],
            "contact_id": row["contact_id"],
            "campaign_id": mailing["campaign_id"],
            "purpose_id": mailing["purpose_id"],
            "program_id": mailing["program_id"],
            "variant_id": row["variant_id"],
            "attempt": row["attempt"],
            "revision": row["revision"],
        }
        outgoing.append(Outgoing(row["workspace_id"], _BUILDERS[row["status"]](common, row, block_ids)))
    await record(tx, outgoing)


async def came_back(tx: Connection, counting: Iterable[Counting], block_ids: Mapping[UUID, UUID]) -> None:
    """Tell of what came back; an automatic answer is nobody's business."""
    told = [(one, _returned(one, block_ids.get(one.row["id"]))) for one in counting]
    await record(tx, [Outgoing(one.row["workspace_id"], event) for one, event in told if event is not None])


async def held(tx: Connection, rows: Iterable[asyncpg.Record]) -> None:
    """Tell that campaigns were held."""
    await record(
        tx,
        [
            Outgoing(
                row["workspace_id"],
                DeliveryHeldV1(campaign_id=row["id"], reason=row["held_reason"], state_revision=row["state_revision"]),
            )
            for row in rows
        ],
    )


async def domain_changed(tx: Connection, row: asyncpg.Record, *, deleted: bool = False) -> None:
    """Tell of a sending domain as its row is, or was until now."""
    told = DomainChangedV1(
        domain_id=row["id"],
        domain=row["name"],
        verified=row["verified"] and not deleted,
        subdomains=row["subdomains"],
        failing=row["failing"],
        deleted=deleted,
        revision=row["revision"] + deleted,
    )
    await record(tx, [Outgoing(row["workspace_id"], told)])


async def erasure_done(tx: Connection, erased: Iterable[Received[LeadErasedV1]]) -> None:
    """Answer erasures."""
    await record(
        tx,
        [
            Outgoing(
                event.workspace_id,
                ErasureDoneV1(contact_id=event.data.contact_id, request_id=event.data.request_id, service="delivery"),
            )
            for event in erased
        ],
    )


def _returned(one: Counting, block_id: UUID | None) -> EmailData | None:
    row, decision = one.row, one.decision
    common = {
        "message_id": row["id"],
        "kind": row["kind"],
        "contact_id": row["contact_id"],
        "campaign_id": row["campaign_id"],
        "purpose_id": row["purpose_id"],
        "program_id": row["program_id"],
        "variant_id": row["variant_id"],
        "provider": row["provider"],
    }
    match decision.kind:
        case "hard" | "soft":
            code = int(decision.reply) if decision.reply else None
            smtp = SmtpReply(code=code, enhanced=decision.status or None)
            return EmailBouncedV1(**common, bounce=decision.kind, reason=decision.reason, smtp=smtp, block_id=block_id)
        case "complaint":
            return EmailComplainedV1(**common, reason=decision.reason, block_id=block_id)
        case "delivered":
            return EmailDeliveredV1(**common)
        case "reply":
            return EmailRepliedV1(**common)
        case _:
            return None


def _reply(row: asyncpg.Record) -> SmtpReply:
    return SmtpReply(code=row["smtp_code"], enhanced=row["smtp_enhanced"], text=row["smtp_text"])


def _sent(common: dict[str, Any], row: asyncpg.Record, _blocks: Mapping[UUID, UUID]) -> EmailSentV1:
    return EmailSentV1(**common, provider=row["provider"], smtp=_reply(row))


def _deferred(common: dict[str, Any], row: asyncpg.Record, _blocks: Mapping[UUID, UUID]) -> EmailDeferredV1:
    return EmailDeferredV1(**common, provider=row["provider"], next_at=row["next_at"], smtp=_reply(row))


def _failed(common: dict[str, Any], row: asyncpg.Record, blocks: Mapping[UUID, UUID]) -> EmailFailedV1:
    return EmailFailedV1(
        **common, provider=row["provider"], failure=row["class"], smtp=_reply(row), block_id=blocks.get(row["id"])
    )


def _suppressed(common: dict[str, Any], row: asyncpg.Record, _blocks: Mapping[UUID, UUID]) -> EmailSuppressedV1:
    return EmailSuppressedV1(**common, reason=row["class"])


def _uncertain(common: dict[str, Any], row: asyncpg.Record, _blocks: Mapping[UUID, UUID]) -> EmailUncertainV1:
    return EmailUncertainV1(**common, cause=row["class"])


def _expired(common: dict[str, Any], row: asyncpg.Record, blocks: Mapping[UUID, UUID]) -> EmailExpiredV1:
    return EmailExpiredV1(**common, block_id=blocks.get(row["id"]))


_BUILDERS = {
    "sent": _sent,
    "deferred": _deferred,
    "failed": _failed,
    "suppressed": _suppressed,
    "uncertain": _uncertain,
    "expired": _expired,
}
