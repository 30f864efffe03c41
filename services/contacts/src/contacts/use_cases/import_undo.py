"""Undoing an import, within seven days: a job that takes back people, values, consents, tags and lists, page by page.

Each page is one transaction with its events, counts and checkpoint. What somebody changed since stays and is listed.
A person the import made goes, unless something has happened with them since: then they stay, listed with the reason,
and lose only the import's tags, lists and consent.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database
from common.jobs import JobContext, enqueue
from common.outbox.writer import IMPORT_LANE

from contacts import events
from contacts.db import consents, import_undo, imports, privacy, stages
from contacts.db.consents import ConsentRecord
from contacts.domain.import_undo import PLAIN, Kept, restore, reverse_consent
from contacts.errors import ImportNotFound, ImportNotUndoable

UNDO_JOB = "import_undo"
_PAGE = 1000
_START = UUID(int=0)


async def request_undo(tx: Connection, workspace_id: UUID, import_id: UUID, actor: str) -> None:
    """Enqueue the job. Raises ImportNotFound, ImportNotUndoable."""
    row = await imports.get(tx, workspace_id, import_id)
    if row is None:
        raise ImportNotFound(import_id=str(import_id))
    if await import_undo.request(tx, workspace_id, import_id, actor) is None:
        raise ImportNotUndoable(
            _why_not(row), mend="Only what an import that is over stored in the last seven days can be undone, once"
        )
    await enqueue(tx, UNDO_JOB, {"import_id": str(import_id)}, workspace_id=workspace_id, unique_key=str(import_id))


def _why_not(row: asyncpg.Record) -> str:
    if row["dry_run"]:
        return "A dry run stores nothing"
    if row["status"] in ("queued", "running"):
        return "The import is not over; cancel it first"
    if row["undo"] is not None:
        return "The import is undone already, or is being undone"
    return f"The import was over more than {import_undo.UNDO_DAYS} days ago"


async def run_undo(ctx: JobContext) -> None:
    """The job kind `import_undo`."""
    import_id = UUID(ctx.args["import_id"])
    workspace_id = ctx.workspace_id
    assert workspace_id is not None  # noqa: S101
    async with ctx.db.transaction() as tx:
        await import_undo.set_state(tx, workspace_id, import_id, "running")
        row = await imports.get(tx, workspace_id, import_id)
    if row is None:
        return
    work = _Undo(row)
    for name, step in (("made", work.take_back_made), ("changed", work.take_back_changed), ("lists", work.leave_lists)):
        while not ctx.checkpoint.get(name, {}).get("done"):
            for retry in range(5):
                try:
                    async with ctx.db.transaction() as tx:
                        after = UUID(ctx.checkpoint.get(name, {}).get("after", str(_START)))
                        last = await step(tx, after)
                        now: dict[str, Any] = {"done": True} if last is None else {"after": str(last)}
                        await ctx.save(tx, checkpoint={**ctx.checkpoint, name: now})
                    break
                except (asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError):
                    # Somebody else was faster with the same person: look again.
                    if retry == 4:
                        raise
    async with ctx.db.transaction() as tx:
        await import_undo.set_state(tx, workspace_id, import_id, "completed")


async def fail_undo(tx: Connection, ctx: JobContext, _error: str) -> None:
    """The job was given up; it may be asked for again."""
    assert ctx.workspace_id is not None  # noqa: S101
    await import_undo.set_state(tx, ctx.workspace_id, UUID(ctx.args["import_id"]), "failed")


async def forget_changes(db: Database) -> None:
    """The periodic job: what can no longer be undone needs no memory."""
    while True:
        async with db.transaction() as tx:
            if not await import_undo.forget(tx):
                return


class _Undo:
    """The steps; each takes a page after an id, and returns the last id of the page, or None at the end."""

    def __init__(self, row: asyncpg.Record) -> None:
        self._row = row
        self._workspace_id: UUID = row["workspace_id"]
        self._id: UUID = row["id"]
        purpose = row["plan"].get("purpose_id")
        self._purpose_id = UUID(purpose) if purpose else None

    async def take_back_made(self, tx: Connection, after: UUID) -> UUID | None:
        """The people it made."""
        rows = await import_undo.made(tx, self._row, self._purpose_id, after, _PAGE)
        if not rows:
            return None
        going = [row for row in rows if row["reason"] is None]
        staying = [row for row in rows if row["reason"] is not None]
        lines = [self._line(row["id"], "none") for row in going if row["consent"] not in (None, "none")]
        kept = [(row["id"], Kept("contact", row["reason"], None)) for row in staying]
        lowered = []
        for row in staying:
            if row["consent"] in ("subscribed", "pending") and not row["spoken"]:
                lowered.append(self._line(row["id"], "none"))
            elif row["consent"] is not None:
                kept.append((row["id"], Kept("consent", "changed", row["consent"])))
        moved = await consents.append(tx, [*lines, *lowered])
        await self._remove(tx, [row["id"] for row in going])
        tags = set(self._row["options"]["tags"])
        stay = {one["id"]: one for one in (await self._now(tx, [row["id"] for row in staying])).values()}
        written = {
            row["id"]: {**self._whole(stay[row["id"]]), "tags": [t for t in row["tags"] if t not in tags]}
            for row in staying
            if tags & set(row["tags"]) or any(row["id"] == line.contact_id for line in lowered)
        }
        staying_ids = {row["id"] for row in staying}
        await self._tell(tx, written, [state for state in moved if state["contact_id"] in staying_ids])
        await import_undo.keep(tx, self._workspace_id, self._id, kept)
        await import_undo.count(tx, self._workspace_id, self._id, removed=len(going), restored=0, kept=len(staying))
        return rows[-1]["id"]  # type: ignore[no-any-return]

    async def take_back_changed(self, tx: Connection, after: UUID) -> UUID | None:
        """The people it changed."""
        changes = await import_undo.changed(tx, self._workspace_id, self._id, after, _PAGE)
        if not changes:
            return None
        now = await self._now(tx, [change["contact_id"] for change in changes])
        kept: list[tuple[UUID, Kept]] = []
        written: dict[UUID, dict[str, Any]] = {}
        lines: list[ConsentRecord] = []
        for change in changes:
            contact = now.get(change["contact_id"])
            if contact is None:
                continue  # erased since
            untouched = contact["revision"] == change["revision"]
            values, left = restore(change["before"], change["after"], dict(contact), untouched=untouched)
            if change["consent_after"] is not None:
                back, stays = reverse_consent(
                    change["consent_before"],
                    change["consent_after"],
                    contact["consent"],
                    spoken_since=contact["consent_revision"] != change["consent_revision"]
                    or contact["consent_lines"] != change["consent_lines"],
                    suppressed=contact["suppressed"],
                    expired=contact["expired_before"],
                )
                left += [stays] if stays else []
                lines += [self._line_back(contact, back)] if back else []
            if values or (lines and lines[-1].contact_id == contact["id"]):
                written[contact["id"]] = {**self._whole(contact), **values}
            kept += [(contact["id"], one) for one in left]
        kept += await self._give_up_taken_ids(tx, written, now)
        await self._note_stages(tx, written, now)
        await self._tell(tx, written, await consents.append(tx, lines))
        await import_undo.keep(tx, self._workspace_id, self._id, kept)
        await import_undo.count(
            tx,
            self._workspace_id,
            self._id,
            removed=0,
            restored=len(written),
            kept=len({contact_id for contact_id, _ in kept}),
        )
        return changes[-1]["contact_id"]  # type: ignore[no-any-return]

    async def leave_lists(self, tx: Connection, _after: UUID) -> UUID | None:
        """Those who stay leave the lists it put them on."""
        lists = [UUID(one) for one in self._row["options"]["list_ids"]]
        gone = await import_undo.leave_lists(tx, self._workspace_id, lists, self._id, _PAGE) if lists else 0
        return _START if gone else None

    async def _now(self, tx: Connection, contact_ids: list[UUID]) -> dict[UUID, asyncpg.Record]:
        return await import_undo.now(tx, self._workspace_id, self._id, contact_ids, self._purpose_id)

    async def _give_up_taken_ids(
        self, tx: Connection, written: dict[UUID, dict[str, Any]], now: dict[UUID, asyncpg.Record]
    ) -> list[tuple[UUID, Kept]]:
        wanted = {
            contact_id: values["external_id"]
            for contact_id, values in written.items()
            if values["external_id"] not in (None, now[contact_id]["external_id"])
        }
        taken = await import_undo.taken(tx, self._workspace_id, [*wanted.values()], [*wanted]) if wanted else set()
        kept = []
        for contact_id, external_id in wanted.items():
            if external_id in taken:
                is_now = now[contact_id]["external_id"]
                written[contact_id]["external_id"] = is_now
                kept.append((contact_id, Kept("external_id", "taken", is_now)))
        return kept

    async def _note_stages(
        self, tx: Connection, written: dict[UUID, dict[str, Any]], now: dict[UUID, asyncpg.Record]
    ) -> None:
        moved: dict[str, list[tuple[UUID, str]]] = {}
        for contact_id, values in written.items():
            if values["stage"] != now[contact_id]["stage"]:
                moved.setdefault(values["stage"], []).append((contact_id, now[contact_id]["stage"]))
        for stage, people in moved.items():
            await stages.record_all(
                tx, self._workspace_id, people, stage, self._row["undone_by"] or "", "undo of an import"
            )

    async def _remove(self, tx: Connection, contact_ids: list[UUID]) -> None:
        await import_undo.bury(tx, self._workspace_id, contact_ids, self._id)
        await privacy.blank(tx, self._workspace_id, contact_ids)
        erased = [events.lead_erased(self._workspace_id, one, self._id, []) for one in contact_ids]
        await events.publish(tx, events.in_lane(erased, IMPORT_LANE))

    async def _tell(self, tx: Connection, written: dict[UUID, dict[str, Any]], moved: list[asyncpg.Record]) -> None:
        contacts = await import_undo.write(tx, self._workspace_id, self._id, [*written.values()]) if written else []
        stand = await import_undo.consents_of(tx, self._workspace_id, [one["id"] for one in contacts])
        told = [events.lead_updated(one, stand[one["id"]]) for one in sorted(contacts, key=lambda one: one["id"])]
        await events.publish(tx, events.in_lane([*told, *map(events.consent_changed, moved)], IMPORT_LANE))

    def _line(self, contact_id: UUID, status: str) -> ConsentRecord:
        assert self._purpose_id is not None  # noqa: S101
        actor = self._row["undone_by"] or ""
        return ConsentRecord(
            self._workspace_id, contact_id, self._purpose_id, status, f"undo of import {self._id}", None, None, actor
        )

    def _line_back(self, contact: asyncpg.Record, status: str) -> ConsentRecord:
        line = self._line(contact["id"], status)
        if status != "subscribed":
            return line
        return replace(line, paused_until=contact["paused_before"], expires_at=contact["expires_before"])

    @staticmethod
    def _whole(contact: asyncpg.Record) -> dict[str, Any]:
        return {"attributes": [], **{name: contact[name] for name in ("id", *PLAIN, "tags", "tracking")}}
