"""The public paths of mails, as a bare ASGI application: open, click, unsubscribe, view in browser.

A framework costs more here than the work does. No path changes anything on GET or HEAD but a count.
"""

import re
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from common import metrics
from common.contracts.addresses import InvalidAddress, a_label
from common.contracts.email import EmailClickedV1, EmailOpenedV1
from common.db.pool import TRANSIENT, Database
from common.link_tokens import HIDDEN_LINK, BadToken, LinkToken, TokenKeys, TokenPurpose
from common.outbox.writer import Outgoing
from common.telemetry import batch_span
from opentelemetry.trace import SpanKind
from starlette.types import Receive, Scope, Send

from delivery.domain import pages
from delivery.domain.machines import machine_rule, open_rule, proxy
from delivery.use_cases.composing import Composer, Uncomposable
from delivery.use_cases.group_commit import GroupCommit
from delivery.use_cases.tracing import SERVICE, Origins
from delivery.use_cases.unsubscribe import unsubscribe

Headers = list[tuple[bytes, bytes]]

MAX_FORM = 16 * 1024
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_COMMON: Headers = [
    (b"cache-control", b"no-store, private"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
    (b"x-content-type-options", b"nosniff"),
]
_GIF_HEADERS: Headers = [(b"content-type", b"image/gif"), (b"content-length", b"%d" % len(GIF)), *_COMMON]
_PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
)
_MAIL_POLICY = (
    b"content-security-policy",
    (
        b"sandbox allow-popups allow-top-navigation-by-user-activation; default-src 'none'; "
        b"img-src http: https: data:; style-src 'unsafe-inline' https:; font-src https: data:; frame-ancestors 'none'"
    ),
)
_KINDS = {"o": "open", "c": "click", "u": "unsubscribe", "b": "view", "h": "hidden"}
_STATUSES = (200, 204, 302, 404, 413, 500, 503)
# A link's `?barid=me` becomes the proof of whose browser follows it, for the script on that page (ADR 41).
_ME, _ASKS_WHO = "barid=me", re.compile(r"(?<=[?&]barid=)me(?=[&#]|$)")
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")


class Tracking:
    """The application. `kept` are opens and clicks; unsubscribing has its own transaction."""

    def __init__(self, db: Database, keys: TokenKeys, kept: GroupCommit, composer: Composer) -> None:
        self._db = db
        self._origins = Origins(db)
        self._keys = keys
        self._kept = kept
        self._composer = composer
        self._left = metrics.UNSUBSCRIBE_SECONDS.labels("delivery")
        self._seconds = {
            (place, status): metrics.TRACKER_SECONDS.labels(kind, str(status))
            for place, kind in _KINDS.items()
            for status in _STATUSES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        method: str = scope["method"]
        place, token = path[1:2], path[3:]
        if path[2:3] != "/" or place not in _KINDS or method not in {"GET", "HEAD", "POST"}:
            await self._other(path, send)
            return
        begin, status = time.perf_counter(), 500
        try:
            if place == "o" and method != "POST":
                status = await self._open(scope, token.removesuffix(".gif"), send)
            elif place == "c" and method != "POST":
                status = await self._click(scope, token, send)
            elif place == "u":
                status = await self._unsubscribe(scope, token, receive, send)
            elif place == "h" and method != "POST":
                status = await self._hidden(token, send)
            elif place == "b" and method != "POST":
                status = await self._view(scope, token, send)
            else:
                status = await _missing(send)
        finally:
            self._seconds[place, status].observe(time.perf_counter() - begin)

    def _token(self, text: str, purpose: TokenPurpose) -> LinkToken | None:
        try:
            return self._keys.verify(text, purpose)
        except BadToken:
            return None

    async def _open(self, scope: Scope, text: str, send: Send) -> int:
        token = self._token(text, "o")
        if token is None:
            return await _missing(send)
        agent, purpose = _asking(scope)
        rule = open_rule(scope["method"], agent, purpose)
        event = EmailOpenedV1(**_facts(token), machine=rule is not None, machine_rule=rule, via=proxy(agent))
        await self._kept.durable(Outgoing(token.workspace_id, event))
        return await _answer(send, 200, _GIF_HEADERS, b"" if scope["method"] == "HEAD" else GIF)

    async def _click(self, scope: Scope, text: str, send: Send) -> int:
        token = self._token(text, "c")
        rule = machine_rule(scope["method"], *_asking(scope))
        location = None if token is None else _location(self._target(token, machine=rule is not None))
        if token is None or location is None:
            return await _missing(send)
        event = EmailClickedV1(
            **_facts(token), machine=rule is not None, machine_rule=rule, link=token.link, url=token.url
        )
        await self._kept.durable(Outgoing(token.workspace_id, event))
        return await _answer(send, 302, [(b"location", location), (b"content-length", b"0"), *_COMMON], b"")

    def _target(self, token: LinkToken, *, machine: bool) -> str:
        if _ME not in token.url or machine or token.contact_id is None or token.kind == "test":
            return token.url
        proof = self._keys.sign(replace(token, purpose="i", link=0, url=""))
        return _ASKS_WHO.sub(proof, token.url)

    async def _hidden(self, text: str, send: Send) -> int:
        """Only what follows every link comes here; analytics judges the message's other clicks by it."""
        token = self._token(text, "h")
        if token is None:
            return await _missing(send)
        event = EmailClickedV1(**_facts(token), machine=True, machine_rule="hidden_link", link=HIDDEN_LINK, url="")
        await self._kept.durable(Outgoing(token.workspace_id, event))
        return await _answer(send, 204, _COMMON, b"")

    async def _unsubscribe(self, scope: Scope, text: str, receive: Receive, send: Send) -> int:
        token = self._token(text, "u")
        if token is None:
            return await _missing(send)
        language = pages.language_of(_header(scope, b"accept-language"))
        if scope["method"] != "POST":
            return await _page(send, 200, pages.ask(language), head=scope["method"] == "HEAD")
        body = await _form(receive)
        if body is None:
            return await _answer(send, 413, [(b"content-length", b"0"), *_COMMON], b"")
        if token.kind == "test":
            return await _page(send, 200, pages.tell(language, "test"))
        everything = parse_qs(body.decode("utf-8", "replace")).get("scope") == ["all"]
        by_page = b"scope=" in body and b"One-Click" not in body
        begin = time.perf_counter()
        try:
            origin = await self._origins.of([(token.workspace_id, token.campaign_id)])
            with batch_span("unsubscribe", origin, kind=SpanKind.SERVER, attributes=SERVICE, follows=False):
                async with self._db.transaction(token.workspace_id) as tx:
                    await unsubscribe(tx, token, "page" if by_page else "one_click", everything=everything)
        except TRANSIENT:
            return await _page(send, 503, pages.tell(language, "later"), retry=True)
        self._left.observe(time.perf_counter() - begin)
        return await _page(send, 200, pages.done(language, everything=everything))

    async def _view(self, scope: Scope, text: str, send: Send) -> int:
        token = self._token(text, "b")
        if token is None:
            return await _missing(send)
        try:
            html = await self._composer.view(token.workspace_id, token.message_id)
        except Uncomposable:
            return await _missing(send)
        except TRANSIENT:
            language = pages.language_of(_header(scope, b"accept-language"))
            return await _page(send, 503, pages.tell(language, "later"), retry=True)
        return await _page(send, 200, html, policy=_MAIL_POLICY, head=scope["method"] == "HEAD")

    async def _other(self, path: str, send: Send) -> None:
        if path in {"/healthz", "/readyz"}:
            # Ready by itself: without the database it still answers opens and clicks.
            await _answer(send, 200, [(b"content-type", b"application/json")], b'{"status":"ready"}')
        elif path == "/metrics":
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

            await _answer(send, 200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], generate_latest())
        else:
            await _missing(send)


def _facts(token: LinkToken) -> dict[str, Any]:
    return {
        "message_id": token.message_id,
        "kind": token.kind,
        "contact_id": token.contact_id,
        "campaign_id": token.campaign_id,
        "purpose_id": token.purpose_id,
        "sent_at": token.sent_at,
    }


def _asking(scope: Scope) -> tuple[str, str]:
    """User-Agent, and what the request says it is for."""
    agent = purpose = b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value
        elif name in {b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"}:
            purpose = value
    return agent.decode("latin-1"), purpose.decode("latin-1")


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _location(url: str) -> bytes | None:
    """The target as a header value: http or https only, nothing that could end the line."""
    if _UNSAFE.search(url):
        url = quote(url.strip(), safe="%/:=&?~#+!$,;'@()*[]")
    if url.isascii():
        return url.encode() if url.startswith(("http://", "https://")) else None
    try:
        parts = urlsplit(url)
        host = a_label(parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except (InvalidAddress, ValueError):
        return None
    rest = quote(parts._replace(scheme="", netloc="").geturl(), safe="%/:=&?~#+!$,;'@()*[]")
    return f"{parts.scheme}://{host}{rest}".encode() if parts.scheme in {"http", "https"} else None


async def _form(receive: Receive) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > MAX_FORM:
            return None
        if not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> int:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return status


async def _page(
    send: Send,
    status: int,
    html: str,
    *,
    policy: tuple[bytes, bytes] = _PAGE_POLICY,
    head: bool = False,
    retry: bool = False,
) -> int:
    body = html.encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        policy,
        *_COMMON,
    ]
    if retry:
        headers.append((b"retry-after", b"60"))
    return await _answer(send, status, headers, b"" if head else body)


async def _missing(send: Send) -> int:
    return await _page(send, 404, pages.tell("en", "missing"))
