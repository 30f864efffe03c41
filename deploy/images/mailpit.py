#!/usr/bin/python3
"""A stand-in for Mailpit: takes every mail, keeps it in memory, and answers the part of its API that the smoke asks.

`/mailpit` serves SMTP on 1025 and HTTP on 8025; `/mailpit readyz` asks whether it does.
"""

import asyncio
import sys
import urllib.request
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope

LARGEST = 30 * 1024 * 1024


class Mailbox:
    """The mails, in the order they came; an id is a place."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self.mails.append((envelope.mail_from or "", list(envelope.rcpt_tos), content))
        return "250 2.0.0 kept"

    async def messages(self, request: web.Request) -> web.Response:
        """GET /api/v1/messages: the newest first, as Mailpit lists them."""
        start, limit = int(request.query.get("start", "0")), int(request.query.get("limit", "50"))
        places = range(len(self.mails) - 1 - start, -1, -1)[:limit]
        found = [
            {"ID": str(place), "To": [{"Name": "", "Address": to} for to in self.mails[place][1]]} for place in places
        ]
        return web.json_response({"total": len(self.mails), "count": len(found), "start": start, "messages": found})

    async def raw(self, request: web.Request) -> web.Response:
        """GET /api/v1/message/ID/raw: the mail as it came."""
        return web.Response(body=self.mails[int(request.match_info["id"])][2], content_type="text/plain")


async def ready(_request: web.Request) -> web.Response:
    """GET /readyz."""
    return web.Response(text="ok")


async def serve() -> None:
    """Both servers, for ever."""
    box, loop = Mailbox(), asyncio.get_running_loop()
    app = web.Application()
    app.add_routes(
        [
            web.get("/readyz", ready),
            web.get("/api/v1/messages", box.messages),
            web.get("/api/v1/message/{id}/raw", box.raw),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 8025).start()
    await loop.create_server(
        lambda: SMTP(box, enable_SMTPUTF8=True, data_size_limit=LARGEST, loop=loop),
        "0.0.0.0",
        1025,
    )
    print("stand-in for Mailpit: SMTP on 1025, HTTP on 8025", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["readyz"]:
        urllib.request.urlopen("http://127.0.0.1:8025/readyz", timeout=4)
    else:
        asyncio.run(serve())
