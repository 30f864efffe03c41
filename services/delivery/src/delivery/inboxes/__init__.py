"""Mailboxes that are read: a Maildir, or one over IMAP. Nothing is ever deleted there; what was read is marked."""

from typing import Protocol

from common.errors import Misconfigured

from delivery.inboxes.imap import Imap
from delivery.inboxes.maildir import Maildir

__all__ = ["Inbox", "open_inbox"]


class Inbox(Protocol):
    """A mailbox. Its methods block, and are called in a thread, one at a time."""

    def waiting(self, limit: int) -> list[str]:
        """Names of mails not yet marked, the oldest first. Raises OSError, or RefusedLogin."""

    def read(self, name: str, most: int) -> bytes:
        """The mail, or its beginning where it has more than `most` bytes.

        Raises OSError, FileNotFoundError, and Unreadable or PermissionError for a mail that cannot be read by itself.
        """

    def mark(self, name: str, *, flagged: bool) -> None:
        """The mail was read; `flagged`: somebody should look at it. Raises OSError."""

    def close(self) -> None:
        """Close what is open; `waiting` opens it again."""


def open_inbox(url: str) -> Inbox:
    """The mailbox of a BARID_INBOX_URL. Raises Misconfigured, never with the password."""
    scheme, _, rest = url.partition(":")
    if scheme == "maildir":
        return Maildir(rest.removeprefix("//") if rest.startswith("///") else rest)
    if scheme in {"imap", "imaps"}:
        return Imap(url)
    raise Misconfigured("BARID_INBOX_URL must be maildir:/path, or imaps://user:password@host/folder")
