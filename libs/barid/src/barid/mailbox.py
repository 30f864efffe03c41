"""The sink's mailbox over HTTP: a list as JSON or as a page, each mail, and whom to refuse."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from html import escape
from typing import Any

from aiohttp import web
from common.web.server import listen

from barid.sink import Mail, Spool

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mailbox</title><style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}}
table{{border-collapse:collapse;width:100%}}td,th{{text-align:start;padding:.4rem .6rem;border-bottom:1px solid #ddd}}
a{{color:#0b5cad}}</style><h1>Mailbox <small>({count})</small></h1>
<table><tr><th>#<th>To<th>Subject<th>At</tr>{rows}</table></html>"""
_ROW = (
    '<tr><td>{id}<td dir="auto">{to}<td dir="auto"><a href="mails/{id}/html">{subject}</a>'
    ' <a href="mails/{id}/raw">raw</a><td>{at}</tr>'
)
_SHOWN = 500
_REPLY = re.compile(r"^[45]\d\d ([45]\.\d{1,3}\.\d{1,3} )?[ -~]{0,200}$")
# A mail's own scripts and frames stay out; its links and pictures work.
_SANDBOX = {"Content-Security-Policy": "sandbox allow-popups; script-src 'none'", "Cache-Control": "no-store"}

SPOOL = web.AppKey("spool", Spool)


@asynccontextmanager
async def show(spool: Spool, port: int) -> AsyncIterator[None]:
    """Serve the mailbox on loopback while the block runs."""
    app = web.Application()
    app[SPOOL] = spool
    app.add_routes(
        [
            web.get("/", _list),
            web.get("/mails/{id}", _one),
            web.get("/mails/{id}/raw", _raw),
            web.get("/mails/{id}/html", _html),
            web.put("/replies", _replies),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.SockSite(runner, listen("127.0.0.1", port, "BARID_MAILBOX_PORT")).start()
        yield
    finally:
        await runner.cleanup()


async def _list(request: web.Request) -> web.Response:
    """`?after=ID` only newer ones, `?to=ADDRESS` of one recipient, `?limit=N` the newest N."""
    spool = request.app[SPOOL]
    try:
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 0))
    except ValueError:
        raise web.HTTPBadRequest(text="after and limit are numbers") from None
    to = request.query.get("to", "").casefold()
    found = [
        mail
        for mail in spool.mails
        if mail.id > after and (not to or to in (address.casefold() for address in mail.recipients))
    ]
    if "text/html" in request.headers.get("Accept", "") and request.query.get("format") != "json":
        rows = "".join(_row(spool, mail) for mail in reversed(found[-(limit or _SHOWN) :]))
        return web.Response(text=_PAGE.format(count=len(found), rows=rows), content_type="text/html")
    items = [_summary(request, spool, mail) for mail in (found[-limit:] if limit else found)]
    return web.json_response({"items": items, "count": len(found)})


async def _one(request: web.Request) -> web.Response:
    spool, mail = _find(request)
    message = spool.parsed(mail)
    return web.json_response(
        {
            **_summary(request, spool, mail),
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": _part(message, "plain"),
            "html": _part(message, "html"),
        }
    )


async def _raw(request: web.Request) -> web.Response:
    spool, mail = _find(request)
    return web.Response(body=spool.raw(mail), content_type="message/rfc822")


async def _html(request: web.Request) -> web.Response:
    spool, mail = _find(request)
    message = spool.parsed(mail)
    html = _part(message, "html") or f"<pre>{escape(_part(message, 'plain') or '')}</pre>"
    return web.Response(text=html, content_type="text/html", headers=_SANDBOX)


async def _replies(request: web.Request) -> web.Response:
    """`{"address": "550 5.1.1 no such user"}`: how RCPT TO is answered from now on; null takes it back."""
    replies = request.app[SPOOL].replies
    wanted = await request.json()
    if not isinstance(wanted, dict) or any(
        value is not None and not _REPLY.match(str(value)) for value in wanted.values()
    ):
        raise web.HTTPUnprocessableEntity(text="a reply looks like: 550 5.1.1 no such user")
    for address, reply in wanted.items():
        if reply is None:
            replies.pop(address.casefold(), None)
        else:
            replies[address.casefold()] = reply
    return web.json_response(replies)


def _find(request: web.Request) -> tuple[Spool, Mail]:
    spool = request.app[SPOOL]
    text = request.match_info["id"]
    mail = spool.find(int(text)) if text.isdecimal() else None
    if mail is None:
        raise web.HTTPNotFound(text="there is no such mail")
    return spool, mail


def _summary(request: web.Request, spool: Spool, mail: Mail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "at": mail.at.isoformat(),
        "from": mail.sender,
        "to": list(mail.recipients),
        "subject": _subject(spool, mail),
        "size": mail.size,
        "url": f"{request.scheme}://{request.host}/mails/{mail.id}",
    }


def _row(spool: Spool, mail: Mail) -> str:
    values = {
        "to": ", ".join(mail.recipients),
        "subject": _subject(spool, mail) or "(none)",
        "at": f"{mail.at:%H:%M:%S}",
    }
    return _ROW.format(id=mail.id, **{name: escape(value) for name, value in values.items()})


def _subject(spool: Spool, mail: Mail) -> str:
    head = spool.raw(mail).partition(b"\r\n\r\n")[0]
    match = re.search(rb"(?im)^subject:[ \t]*((?:.*\r?\n[ \t])*.*)", head)
    if match is None:
        return ""
    text = match[1].decode("utf-8", "replace").strip()
    return str(default.header_factory("subject", re.sub(r"\r?\n", "", text)))


def _part(message: EmailMessage, kind: str) -> str | None:
    body = message.get_body((kind,))
    return None if body is None else str(body.get_content())
