"""A campaign that is started while a large file is imported: how long until its first mail, and until its last.

The whole stack as `barid up` runs it, and a mail server that counts. The people of the campaign were there before.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos.bench import Bench, bench
from tests.load import import_
from tests.load.figures import Figure

PEOPLE = 1000
BOUND_S = 60.0
DONE = ("completed", "failed", "cancelled")


async def run() -> list[Figure]:
    """Through the interface alone, as somebody at a browser."""
    return await asyncio.to_thread(_measure)


def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="barid-load-campaign-") as folder:
        place = Path(folder)
        place.chmod(0o711)  # PostgreSQL's own account must get through
        path = place / "many.csv"
        import_.write(path)
        with bench(place / "stack", "postgres", PEOPLE, 1) as made:
            tag, wanted = made.people(PEOPLE)
            campaign = made.draft(tag)
            imported = _import(made, path)
            made.outside.until(lambda: _state(made, imported)["rows"]["created"], lambda rows: rows > 0, 120)
            began = time.perf_counter()
            sending = made.start(campaign, tag, wanted)
            made.outside.until(lambda: made.arrived(sending), lambda mails: mails > 0, BOUND_S)
            first = time.perf_counter() - began
            meanwhile = _state(made, imported)
            made.outside.until(lambda: made.arrived(sending), lambda mails: mails == PEOPLE, 600)
            last = time.perf_counter() - began
            made.outside.until(lambda: _state(made, imported), lambda found: found["status"] in DONE, 600)
    if meanwhile["status"] in DONE:
        raise AssertionError("the import was over before the first mail; give it more rows (LOAD_IMPORT_ROWS)")
    return [
        Figure("campaign_during_import", first, "s to 1st mail", 1, round(first, 3)),
        Figure("campaign_during_import_all", last, "s to last mail", PEOPLE, round(last, 3)),
    ]


def _import(made: Bench, path: Path) -> str:
    options = {
        "mapping": dict(zip(import_.HEADER, import_.TARGETS, strict=True)), "create_attributes": True,
        "consent": {"status": "subscribed", "purpose": "newsletter", "source": "bench"},
    }  # fmt: skip
    with path.open("rb") as file:
        started = made.outside.call(
            "POST", "/v1/imports", files={"file": (path.name, file, "text/csv")}, data={"options": json.dumps(options)}
        )
    return str(started["id"])


def _state(made: Bench, import_id: str) -> Any:
    return made.outside.call("GET", f"/v1/imports/{import_id}")
