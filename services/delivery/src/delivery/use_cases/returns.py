"""What came back, taken in: matched, stored once, and all it means, in one transaction."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from common import metrics
from common.contracts.addresses import InvalidAddress, address_hash, normalise_address
from common.db.pool import Connection, Database

from delivery import events
from delivery.db import forwards, mailings, returns
from delivery.db.returns import Return
from delivery.domain.forwarding import goes_to
from delivery.domain.return_path import Claim
from delivery.domain.returns import Decision, Returned, Sent, decide
from delivery.events import Counting
from delivery.use_cases.blocking import Failure, block_failed
from delivery.use_cases.record_outcomes import hold_refused
from delivery.use_cases.unsubscribe import Leaving, by_address, by_mail, leave

# What the verdicts call it → why an address is blocked. A mailbox that moved or that nobody reads is as one that is
# not there, or full: the ledger's classes in the dialogue are the same.
_HARD = {"bad_mailbox": "bad_mailbox", "moved": "bad_mailbox", "bad_domain": "bad_domain"}
_SOFT = {"mailbox_full": "mailbox_full", "inactive": "mailbox_full"}
_NO_BOUNCE = frozenset({"auth_failure"})  # a receiver's report on our signatures (RFC 6591)
_AGAINST = frozenset({"hard", "complaint"})

Key = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one return. `new`: it was not stored before; `message_id`: whom it is about, if that is known."""

    returned: Returned
    decision: Decision
    message_id: UUID | None
    new: bool


@dataclass(frozen=True, slots=True)
class _Match:
    returned: Returned
    decision: Decision
    row: asyncpg.Record | None


async def take_returns(
    db: Database, found: Sequence[Returned], workspace_id: UUID | None = None, pepper: bytes | None = None
) -> list[Taken]:
    """Take in what came back, in order. With a workspace, only what is about its messages.

    What it is about nobody knows, nobody can be told: without a workspace that is not stored. `pepper`: who left
    is then blocked by their address where no message of ours is known, for all mail of the workspace.
    """
    async with db.transaction(workspace_id) as tx:
        matches = await _match(tx, found, workspace_id)
        new, against = await _apply(tx, matches, workspace_id)
        if workspace_id is not None and pepper is not None:
            await leave(tx, list(_strangers(matches, new, workspace_id, pepper)), "page")
    if against:
        await hold_refused(db, against, workspace_id)
    taken = []
    for match in matches:
        message_id = match.row["id"] if match.row is not None else None
        taken.append(Taken(match.returned, match.decision, message_id, _key(match, workspace_id) in new))
    count(taken)
    return taken


def count(taken: Sequence[Taken]) -> None:
    """Count what was new, once it is committed."""
    seen = Counter(
        (one.returned.source, one.decision.kind, "repeated" if not one.new else _outcome(one)) for one in taken
    )
    for labels, n in seen.items():
        metrics.RETURNS.labels(*labels).inc(n)


def _outcome(one: Taken) -> str:
    if one.decision.counts:
        return "counted"
    return "unproven" if one.message_id else "unknown"


async def _match(tx: Connection, found: Sequence[Returned], workspace_id: UUID | None) -> list[_Match]:
    claims = [(n, place, claim) for n, one in enumerate(found) for place, claim in enumerate(one.claims)]
    rows: dict[int, list[tuple[Claim, asyncpg.Record]]] = {}
    if claims:
        for row in await returns.find(
            tx,
            [n for n, _, _ in claims],
            [place for _, place, _ in claims],
            [claim.message_id for _, _, claim in claims],
            [claim.tail for _, _, claim in claims],
            workspace_id,
        ):
            rows.setdefault(row["n"], []).append((found[row["n"]].claims[row["place"]], row))
    now = datetime.now(UTC)
    return [_best(one, rows.get(n, []), now) for n, one in enumerate(found)]


def _best(returned: Returned, candidates: Sequence[tuple[Claim, asyncpg.Record]], now: datetime) -> _Match:
    """By the first claim that proves something; else that counts; else that names a message of ours at all."""
    matches = []
    for claim, row in candidates:
        sent = Sent(row["email"], row["status"], row["attempt"], row["sent_at"])
        matches.append(_Match(returned, decide(returned, claim, sent, now), row))
    nobodys = _Match(returned, decide(returned, None, None, now), None)
    return max(matches, key=lambda match: (match.decision.proven, match.decision.counts), default=nobodys)


async def _apply(tx: Connection, matches: Sequence[_Match], workspace_id: UUID | None) -> tuple[set[Key], set[Key]]:
    """Store, and change what the new ones mean. What was new, and the campaigns under way that it speaks against.

    Locks in the order of all others: messages, counters, blocks.
    """
    kept = {key: match for match in matches if (key := _key(match, workspace_id)) is not None}
    if not kept:
        return set(), set()
    new = await returns.store(tx, [_stored(key, match) for key, match in kept.items()])
    counting = [
        Counting(match.row, match.returned, match.decision)
        for key, match in kept.items()
        if key in new and match.row is not None and match.decision.counts
    ]
    if not counting:
        return new, set()
    workspaces, ids = [one.row["workspace_id"] for one in counting], [one.row["id"] for one in counting]
    resolved = await returns.resolve_uncertain(tx, workspaces, ids)
    told = await returns.told_before(tx, workspaces, ids, [one.returned.id for one in counting])
    against = {
        (one.row["workspace_id"], one.row["mailing_id"])
        for one in counting
        if one.row["kind"] == "campaign" and one.row["active"] and one.decision.kind in _AGAINST
    }
    if against:
        await mailings.touch(tx, sorted(against))  # whoever publishes progress then asks again whether to hold
    failures = [(one, failure) for one in counting if (failure := _failure(one)) is not None]
    block_ids = await block_failed(tx, [failure for _, failure in failures])
    await returns.note_blocks(
        tx,
        [
            (one.row["workspace_id"], one.returned.id, block_ids[one.row["id"]])
            for one, _ in failures
            if one.row["id"] in block_ids
        ],
    )
    leaving = [one for one in counting if one.decision.kind == "unsubscribed"]
    await leave(tx, [by_mail(one.row, everything=one.decision.reason == "everything") for one in leaving], "page")
    await forwards.add(tx, list(_to_forward(counting)))
    await events.statuses(tx, resolved)
    await events.came_back(tx, list(_untold(counting, told)), block_ids)
    return new, against


def _strangers(matches: Sequence[_Match], new: set[Key], workspace_id: UUID, pepper: bytes) -> Iterator[Leaving]:
    """Who left by a mail that is not known, or is another's."""
    for match in matches:
        returned = match.returned
        if match.decision.kind == "unsubscribed" and not match.decision.counts and _key(match, workspace_id) in new:
            for said in returned.judgements:
                try:
                    hash_ = address_hash(pepper, workspace_id, normalise_address(said.recipient))
                except InvalidAddress:
                    continue
                yield by_address(workspace_id, returned.id, bytes.fromhex(hash_))


def _key(match: _Match, workspace_id: UUID | None) -> Key | None:
    at = workspace_id if match.row is None else match.row["workspace_id"]
    return None if at is None else (at, match.returned.id)


def _stored(key: Key, match: _Match) -> Return:
    row, decision = match.row, match.decision
    return Return(
        *key,
        match.returned.source,
        None if row is None else row["id"],
        None if row is None else row["mailing_id"],
        decision.kind,
        decision.reason,
        decision.status,
        decision.reply,
        decision.delayed,
        decision.counts,
        None if row is None else row["sent_at"],
    )


def _failure(one: Counting) -> Failure | None:
    decision = one.decision
    if not decision.proven:
        return None
    if decision.kind == "complaint":
        reason: str | None = "complaint"
    elif decision.kind == "hard":
        reason = _HARD.get(decision.reason)
    else:
        reason = _SOFT.get(decision.reason) if decision.kind == "soft" and not decision.delayed else None
    return Failure(reason, one.row["workspace_id"], one.row["id"]) if reason else None


def _to_forward(counting: Sequence[Counting]) -> Iterator[tuple[UUID, UUID, str, bytes]]:
    for one in counting:
        to = goes_to(one.row["reply_to"], one.returned.sent_to) if one.decision.kind == "reply" else None
        if to and one.returned.mail:
            yield one.row["workspace_id"], one.returned.id, to, one.returned.mail


def _untold(counting: Sequence[Counting], told: set[tuple[UUID, UUID, str]]) -> Iterator[Counting]:
    """One event for each message and kind of return; every answer by a person is one of its own."""
    for one in counting:
        key = (one.row["workspace_id"], one.row["id"], one.decision.kind)
        if one.decision.reason in _NO_BOUNCE:
            continue
        if one.decision.kind == "reply" or not (one.decision.delayed or key in told):
            yield one
        if not one.decision.delayed:
            told.add(key)
