"""A mailbox over IMAP (RFC 3501): what is not seen is read without marking it, and marked once it is stored."""

import contextlib
import imaplib
import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

from common.errors import Misconfigured

TIMEOUT_S = 60.0
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


class RefusedLogin(Exception):
    """The server does not take the user, the password or the folder's name."""


class Unreadable(OSError):
    """The server will not give this one mail; the others it may."""


class Imap:
    """One folder. A connection lives from `waiting` to `close`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise Misconfigured("BARID_INBOX_URL has a port that is no number") from error
        if not parts.hostname or not parts.username or parts.password is None:
            raise Misconfigured("BARID_INBOX_URL must be imaps://user:password@host/folder")
        self._host = parts.hostname
        self._tls = parts.scheme == "imaps"
        self._port = port or (993 if self._tls else 143)
        self._user, self._password = unquote(parts.username), unquote(parts.password)
        self._folder = unquote(parts.path.strip("/")) or "INBOX"
        if any(ord(char) < 32 or char in '"\\' or ord(char) > 126 for char in self._folder):
            raise Misconfigured("BARID_INBOX_URL has a folder that is not plain ASCII (RFC 3501 writes it as UTF-7)")
        self._connection: imaplib.IMAP4 | None = None

    def waiting(self, limit: int) -> list[str]:
        """The unique ids of what is not seen, the oldest first."""
        found = self._call("SEARCH", None, "UNSEEN")
        ids = found[0].split() if found and found[0] else []
        return [one.decode("ascii") for one in sorted(ids, key=int)[:limit]]

    def read(self, name: str, most: int) -> bytes:
        """One mail, at most one byte more than `most`. Raises FileNotFoundError for one that is gone, Unreadable."""
        for part in self._call("FETCH", name, f"(BODY.PEEK[]<0.{most + 1}>)"):
            if isinstance(part, tuple) and len(part) > 1:
                return bytes(part[1])
        raise FileNotFoundError(name)

    def mark(self, name: str, *, flagged: bool) -> None:
        """Seen, and perhaps flagged."""
        self._call("STORE", name, "+FLAGS.SILENT", r"(\Seen \Flagged)" if flagged else r"(\Seen)")

    def close(self) -> None:
        """Log out."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                connection.logout()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown()

    def _call(self, command: str, *arguments: str | None) -> list[Any]:
        try:
            connection = self._connection or self._connect()
            answer, data = connection.uid(command, *arguments)  # type: ignore[arg-type]
        except imaplib.IMAP4.error as error:  # also a connection that broke
            self._drop()
            raise OSError(f"the IMAP server ended {command}: {_told(error)}") from error
        except OSError:
            self._drop()
            raise
        if answer != "OK":
            refused = f"the IMAP server refused {command}"
            raise Unreadable(refused) if command == "FETCH" else OSError(refused)
        return data

    def _connect(self) -> imaplib.IMAP4:
        context = ssl.create_default_context()
        if self._tls:
            connection: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                self._host, self._port, ssl_context=context, timeout=TIMEOUT_S
            )
        else:
            connection = imaplib.IMAP4(self._host, self._port, timeout=TIMEOUT_S)
            if "STARTTLS" in connection.capabilities:
                connection.starttls(context)
            elif self._host not in _LOCAL:
                connection.shutdown()
                raise RefusedLogin("it offers no TLS, and the password does not go out in the open")
        try:
            connection.login(self._user, self._password)
            answer, _ = connection.select(f'"{self._folder}"')
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            connection.shutdown()
            raise RefusedLogin(_told(error)) from error
        if answer != "OK":
            connection.shutdown()
            raise RefusedLogin(f"there is no folder {self._folder}")
        self._connection = connection
        return connection


def _told(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))[:200]
