"""The main job, step by step, with progress; its exit status says whether the books close."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.errors import Misconfigured
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from barid import launch, prepare, state
from barid.demo import tables
from barid.demo.client import Client, Late, until
from barid.demo.readers import Mailbox, Played
from barid.settings import StackSettings

REFUSED = 3
TOP = 5
WITHIN_S = 120.0

Found = dict[str, Any]


def play(settings: StackSettings, *, keep: bool = False) -> int:
    """Run the demo; 0 if every recipient is accounted for. Raises BaridError."""
    console = Console(stderr=False)
    began = time.monotonic()
    was_running = state.supervisor(settings.area) is not None
    try:
        with _progress(console) as progress:
            step = progress.add_task("starting", total=None)
            info = launch.start(settings, sink=True, told=lambda word: progress.update(step, description=word))
            progress.update(step, description="Barid runs", total=1, completed=1)
            if not info["mailbox"]:
                raise Misconfigured("BARID_SMTP_URL: the demo needs the mail sink; `barid down`, then run it again")
            books, report, leads, played = asyncio.run(_main_job(settings, info, progress))
        tables.show(console, books, report, leads, played)
        closed = tables.closes(books, report, played)
        took = time.monotonic() - began
        console.print(
            f"[bold green]The books close[/] after {took:.1f} s." if closed else "[bold red]The books do not close.[/]"
        )
        if keep or was_running:
            console.print(f"Look around: {info['url']}  mailbox {info['mailbox']}")
        print(json.dumps({"balance": books, "report": report, "seconds": round(took, 1)}, ensure_ascii=False))  # noqa: T201
        return 0 if closed else 1
    finally:
        if not (keep or was_running):
            with suppress(ProcessLookupError):
                launch.stop(settings.area)


async def _main_job(
    settings: StackSettings, info: Found, progress: Progress
) -> tuple[Found, Found, list[Found], Played]:
    made = await asyncio.to_thread(_workspace, settings)
    mailbox = Mailbox(info["mailbox"])
    try:
        async with Client(info["url"], made.token) as barid:
            before = await mailbox.last_id()
            imported = await _import(barid, progress)
            campaign = await _campaign(barid, mailbox)
            await barid.post(f"/v1/campaigns/{campaign}/start", {})
            books = await _send(barid, campaign, progress)
            mails = await mailbox.mails(before)
            step = progress.add_task("people read their mail", total=len(mails))
            played = await mailbox.play(mails, 7, lambda: progress.advance(step))
            report = await _report(barid, campaign, played, progress)
            leads = await _leads(barid, played, progress)
            books = await barid.get(f"/v1/campaigns/{campaign}/balance")
            arrived = {recipient for mail in mails for recipient in mail["to"]}
            played.mails, played.arrived, played.imported = len(mails), len(arrived), imported["rows"]
            return books, report, leads, played
    finally:
        await mailbox.close()


def _workspace(settings: StackSettings) -> Any:
    """A workspace of its own, so that every demo begins with nothing."""
    name = f"Caravan Books {time.strftime('%F %T')}.{time.time_ns() % 1000:03d}"
    return prepare.bootstrap(settings, **{**prepare.LOCAL, "name": name})


async def _import(barid: Client, progress: Progress) -> Found:
    content = await asyncio.to_thread((examples() / "contacts.csv").read_bytes)
    options = {
        "mapping": {
            "Email": "email",
            "First Name": "first_name",
            "Last Name": "last_name",
            "City": "attributes.city",
            "Country": "country",
            "Language": "language",
            "Points": "attributes.points",
        },
        "create_attributes": True,
        "on_conflict": "update",
        "consent": {
            "status": "subscribed",
            "purpose": "newsletter",
            "tracking": "individual",
            "source": "book fair 2026",
            "evidence": "signed cards, box 12",
        },
    }
    step = progress.add_task("importing contacts", total=None)
    made = await barid.upload("/v1/imports", "contacts.csv", content, options)

    async def look() -> Found:
        found: Found = await barid.get(f"/v1/imports/{made['id']}")
        rows = found["rows"]
        progress.update(step, completed=sum(rows.values()) - rows["read"], total=rows["read"] or None)
        return found

    found = await until(look, lambda it: it["status"] in ("completed", "failed", "cancelled"), "the import", WITHIN_S)
    if found["status"] != "completed":
        raise Late(f"the import {found['status']}: {found}")
    return dict(found)


async def _campaign(barid: Client, mailbox: Mailbox) -> str:
    rule = {
        "all": [
            {"field": "language", "op": "in", "value": ["fa", "ar", "en"]},
            {"not": {"field": "attributes.city", "op": "eq", "value": "Toronto"}},
        ]
    }
    preview = await barid.post("/v1/segments/preview", {"rule": rule})
    segment = await barid.post("/v1/segments", {"name": "Readers near a shop", "rule": rule})
    sender = await barid.post("/v1/senders", {"name": "کاروان‌کتاب Caravan Books", "email": "letters@caravan.example"})
    content = json.loads((examples() / "templates" / "longest-night" / "campaign.json").read_text())
    campaign = await barid.post(
        "/v1/campaigns",
        {
            "name": "The longest night",
            "sender_id": sender["id"],
            "purpose": "newsletter",
            "audience": {"segment_ids": [segment["id"]]},
            "content": content,
            "tracking": {"opens": True, "clicks": True},
        },
    )
    asked, *gone = [person["email"] for person in preview["sample"] if person["email"].isascii()][: REFUSED + 1]
    await barid.post("/v1/suppressions", {"email": asked, "reason": "asked_by_phone"})
    await mailbox.refuse(gone)
    return str(campaign["id"])


async def _send(barid: Client, campaign: str, progress: Progress) -> Found:
    """Wait until the campaign is over; its books."""
    step = progress.add_task("sending", total=None)

    async def look() -> Found:
        books: Found = await barid.get(f"/v1/campaigns/{campaign}/balance")
        progress.update(
            step, completed=(books["eligible"] or 0) - (books["open"] or 0), total=books["eligible"] or None
        )
        return {**books, "status": (await barid.get(f"/v1/campaigns/{campaign}"))["status"]}

    books = await until(
        look,
        lambda found: found["status"] in ("completed", "failed", "cancelled") and found["balanced"],
        "the closed books",
        WITHIN_S,
    )
    return dict(books)


async def _report(barid: Client, campaign: str, played: Played, progress: Progress) -> Found:
    step = progress.add_task("counting", total=len(played.opened) + len(played.clicked))

    async def look() -> Found:
        report: Found = await barid.get(f"/v1/reports/campaigns/{campaign}")
        progress.update(step, completed=report["opens"]["unique"] + report["clicks"]["unique"])
        return report

    with suppress(Late):  # shown as it is then, and the books do not close
        await until(look, lambda report: tables.agrees(report, played), "the report", 20)
    return await look()


async def _leads(barid: Client, played: Played, progress: Progress) -> list[Found]:
    """The top leads with their reasons."""
    wanted = min(100, len(played.clicked))
    step = progress.add_task("scoring", total=wanted)

    async def look() -> list[Found]:
        """The best leads with a click; it counts once it is sure that no machine made it."""
        found: list[Found] = (await barid.get("/v1/leads", limit=100))["items"]
        found = [lead for lead in found if any("click" in reason for reason in lead["reasons"])]
        progress.update(step, completed=len(found))
        return found

    leads = await until(look, lambda found: len(found) >= wanted, "the scores", 30)
    whole = []
    for lead in leads[:TOP]:
        score = await barid.get(f"/v1/leads/{lead['contact_id']}/score")
        contact = await barid.get(f"/v1/contacts/{lead['contact_id']}")
        whole.append({**score, "contact": contact})
    return whole


def examples() -> Path:
    """The folder of the examples, beside the code or where we are. Raises Misconfigured."""
    for root in (Path(__file__).resolve().parents[5], Path.cwd()):
        if (root / "examples" / "contacts.csv").exists():
            return root / "examples"
    raise Misconfigured("the folder examples/ is not here; run the demo in the repository")


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
