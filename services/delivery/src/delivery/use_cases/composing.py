"""A ledger row and its mailing → envelope and bytes. Content is prepared once per mailing and kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
from common.clock import Clock
from common.db.pool import Database
from common.link_tokens import LinkToken, TokenKeys, TokenPurpose
from content.choose import variant_for
from content.errors import ContentError
from content.headers import HeaderError, address_spec
from content.mime import MailHeaders, build
from content.model import CompiledMail
from content.render import RenderContext, render, render_encoded, shows

from delivery.db import mailings, messages
from delivery.domain.provider_events.postmark import METADATA
from delivery.domain.provider_events.sendgrid import ARGUMENT
from delivery.domain.return_path import ReturnPaths
from delivery.use_cases.signing import Signer

KEPT = 64
_NO_METADATA: dict[str, str] = {}
# Links that few mails have; a signature for each message costs more than a look at the mail once.
_SIGNED_IF_NAMED = ("preferences_url", "browser_url")


class Uncomposable(Exception):
    """The mail cannot be made for this recipient; `klass` is the failure's class."""

    def __init__(self, klass: str, detail: str) -> None:
        super().__init__(detail)
        self.klass = klass


@dataclass(frozen=True, slots=True)
class Mail:
    """Ready for the dialogue."""

    sender: str
    recipient: str
    body: bytes
    variant_id: str


@dataclass(frozen=True, slots=True)
class _Mailing:
    mail: CompiledMail
    row: asyncpg.Record
    sender: dict[str, Any]
    envelope_sender: str
    domain: str
    opens: bool
    clicks: bool
    list_id: str | None
    feedback_id: str
    named: frozenset[str]
    variants: dict[str | None, str] = field(default_factory=dict)

    def variant_of(self, row: asyncpg.Record) -> str:
        """The variant that a recipient gets; found once for each language."""
        given: str | None = row["variant_id"]
        language: str | None = row["language"]
        if given:
            return given
        if language not in self.variants:
            self.variants[language] = variant_for(self.mail, language)
        return self.variants[language]


class Composer:
    """Composes mail. Many transmitters share one."""

    def __init__(
        self,
        db: Database,
        keys: TokenKeys,
        public_url: str,
        clock: Clock,
        return_paths: ReturnPaths | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._db = db
        self._keys = keys
        self._public_url = public_url
        self._clock = clock
        self._return_paths = return_paths
        self._signer = signer
        self._kept: OrderedDict[tuple[UUID, UUID], _Mailing] = OrderedDict()
        self._loading = asyncio.Lock()

    async def compose(self, row: asyncpg.Record, *, utf8: bool) -> Mail:
        """The mail of one ledger row. Raises Uncomposable."""
        try:
            mailing = await self._mailing(row["workspace_id"], row["mailing_id"])
        except HeaderError as error:
            raise Uncomposable("content", f"The sender cannot be used: {error}") from error
        try:
            recipient = address_spec(row["email"], smtputf8=utf8)
        except HeaderError as error:
            raise Uncomposable("unsupported_address", str(error)) from error
        variant_id = mailing.variant_of(row)
        now = self._clock.now()
        facts = mailing.row
        token = self._token(mailing, row)
        sign = self._keys.signer(token)
        unsubscribe_url = f"{self._public_url}/u/{sign('u', 0, '')}"
        tracked: bool = row["tracking"]
        named = mailing.named
        try:
            rendered = render_encoded(
                mailing.mail,
                variant_id,
                RenderContext(
                    fields=fields_of(row["fields"], row["email"], row["language"]),
                    unsubscribe_url=unsubscribe_url,
                    preferences_url=f"{self._public_url}/p/{sign('p', 0, '')}" if "preferences_url" in named else "",
                    browser_url=f"{self._public_url}/b/{sign('b', 0, '')}" if "browser_url" in named else "",
                    link=self._tracked_link(sign) if tracked and mailing.clicks else None,
                    pixel_url=f"{self._public_url}/o/{sign('o', 0, '')}.gif" if tracked and mailing.opens else None,
                    hidden_url=f"{self._public_url}/h/{sign('h', 0, '')}" if tracked and mailing.clicks else None,
                ),
            )
            if not shows(rendered.subject):
                raise Uncomposable("content", "The subject is empty once it is filled for this recipient.")
            if rendered.blank:
                raise Uncomposable("content", "Nothing is left of the mail once it is filled for this recipient.")
            campaign = facts["kind"] == "campaign"
            body = build(
                MailHeaders(
                    from_email=mailing.sender["email"],
                    from_name=mailing.sender.get("name"),
                    reply_to=self._reply_to(row) or mailing.sender.get("reply_to"),
                    to_email=row["email"],
                    subject=rendered.subject,
                    message_id=f"<{row['id']}@{mailing.domain}>",
                    date=now,
                    unsubscribe_url=unsubscribe_url if campaign else None,
                    list_id=mailing.list_id if campaign else None,
                    feedback_id=mailing.feedback_id if campaign else None,
                    kind="bulk" if campaign else "single",
                    smtputf8=utf8 and not recipient.isascii(),
                    extra=self._metadata(row, facts["told_by"]) if facts["told_by"] else _NO_METADATA,
                ),
                rendered.text,
                rendered.html,
            )
        except (ContentError, HeaderError) as error:
            raise Uncomposable("content", str(error)) from error
        if self._signer is not None:
            body = await self._signer.sign(row["workspace_id"], mailing.domain, body, now)
        envelope_sender = await self._return_path(row, mailing.domain) or mailing.envelope_sender
        return Mail(envelope_sender, recipient, body, variant_id)

    async def view(self, workspace_id: UUID, message_id: UUID) -> str:
        """The mail as a page, with nothing tracked. Raises Uncomposable once the person is erased."""
        async with self._db.transaction(workspace_id, readonly=True) as tx:
            row = await messages.for_browser(tx, workspace_id, message_id)
        if row is None:
            raise Uncomposable("content", "the message is gone")
        mailing = await self._mailing(workspace_id, row["mailing_id"])
        token = self._token(mailing, row)
        sign = self._keys.signer(token)
        unsubscribe_url = f"{self._public_url}/u/{sign('u', 0, '')}"
        try:
            rendered = render(
                mailing.mail,
                mailing.variant_of(row),
                RenderContext(
                    fields=fields_of(row["fields"], row["email"], row["language"]),
                    unsubscribe_url=unsubscribe_url,
                    preferences_url=f"{self._public_url}/p/{sign('p', 0, '')}",
                    browser_url=f"{self._public_url}/b/{sign('b', 0, '')}",
                ),
            )
        except ContentError as error:
            raise Uncomposable("content", str(error)) from error
        return rendered.html or f"<!doctype html><meta charset=utf-8><pre>{escape(rendered.text)}</pre>"

    def _metadata(self, row: asyncpg.Record, providers: Sequence[str]) -> dict[str, str]:
        """Providers that replace the Message-ID or the envelope sender name the message by this in what they tell."""
        if self._return_paths is None:
            return _NO_METADATA
        token = self._return_paths.token(row["workspace_id"], row["id"])
        headers = {}
        if "postmark" in providers:
            headers[f"X-PM-Metadata-{METADATA}"] = f"{token}@{METADATA}"
        if "sendgrid" in providers:
            headers["X-SMTPAPI"] = f'{{"unique_args": {{"{ARGUMENT}": "{token}@{ARGUMENT}"}}}}'
        return headers

    def _reply_to(self, row: asyncpg.Record) -> str | None:
        return self._return_paths.replies_to(row["workspace_id"], row["id"]) if self._return_paths else None

    async def _return_path(self, row: asyncpg.Record, sender_domain: str) -> str | None:
        if self._return_paths is None:
            return None
        own = await self._signer.return_domain(row["workspace_id"], sender_domain) if self._signer else None
        return self._return_paths.bounces_to(row["workspace_id"], row["id"], own)

    def _token(self, mailing: _Mailing, row: asyncpg.Record) -> LinkToken:
        facts = mailing.row
        return LinkToken(
            "u",
            facts["kind"],
            row["workspace_id"],
            row["id"],
            row["contact_id"],
            facts["campaign_id"],
            facts["purpose_id"],
            self._clock.now(),
        )

    async def _mailing(self, workspace_id: UUID, mailing_id: UUID) -> _Mailing:
        key = (workspace_id, mailing_id)
        found = self._kept.get(key)
        if found is not None:
            return found
        async with self._loading:
            if key not in self._kept:
                # With the workspace, so that it works under the tracker's role too.
                async with self._db.transaction(workspace_id, readonly=True) as tx:
                    row = await mailings.load(tx, workspace_id, mailing_id)
                if row is None:
                    raise Uncomposable("content", "the campaign is gone")
                self._kept[key] = _prepare(row)
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]

    def _tracked_link(self, sign: Callable[[TokenPurpose, int, str], str]) -> Callable[[int, str], str]:
        # A link stands in the HTML and again in the text.
        made: dict[tuple[int, str], str] = {}

        def tracked(number: int, url: str) -> str:
            found = made.get((number, url))
            if found is None:
                web = url.startswith(("http://", "https://"))
                found = made[(number, url)] = f"{self._public_url}/c/{sign('c', number, url)}" if web else url
            return found

        return tracked


def _prepare(row: asyncpg.Record) -> _Mailing:
    mail = CompiledMail.model_validate(row["content"])
    wish = row["tracking"] or {}
    sender = row["sender"]
    envelope_sender = address_spec(sender["email"])
    domain = envelope_sender.rpartition("@")[2]
    purpose = row["purpose_key"] or (row["purpose_id"].hex if row["purpose_id"] else None)
    content = mail.model_dump_json()
    return _Mailing(
        mail,
        row,
        sender,
        envelope_sender,
        domain,
        bool(wish.get("opens")),
        bool(wish.get("clicks")),
        f"{quote(purpose, safe='')}.{domain}" if purpose else None,
        f"{row['id'].hex[-12:]}:{quote(purpose or 'none', safe='')}:{row['kind']}:{row['workspace_id'].hex[:12]}",
        frozenset(name for name in _SIGNED_IF_NAMED if name in content),
    )


def fields_of(given: Mapping[str, Any] | None, email: str | None, language: str | None) -> dict[str, Any]:
    """What the content of a mail can name of its recipient. Where `a` and `a.b` are given, `a` is what `a.b` is in."""
    fields: dict[str, Any] = {}
    for name, value in sorted((given or {}).items()):
        head, dot, rest = name.partition(".")
        if not dot:
            fields[head] = dict(value) if isinstance(value, dict) else value
        elif isinstance(fields.get(head), dict):
            fields[head][rest] = value
        else:
            fields[head] = {rest: value}
    fields.setdefault("email", email)
    fields.setdefault("language", language)
    return fields
