"""Files of addresses that must not be mailed: plain, or as digests that name nobody to a reader."""

from collections.abc import Iterator
from itertools import chain
from typing import IO, Literal, NamedTuple, get_args

from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.domain.import_files import open_file

# `keyed`: this workspace's own hashes, as an export of them has; of domains with `keyed_domain`.
ListKind = Literal["address", "domain", "sha256", "md5", "keyed", "keyed_domain"]
KINDS: tuple[ListKind, ...] = get_args(ListKind)
DIGEST_OCTETS = {"sha256": 32, "md5": 16, "keyed": 32, "keyed_domain": 32}
MOST_ROWS = 100_000

_HEADERS = frozenset({"email", "e-mail", "email address", "address", "domain", "hash", "value", *KINDS})


class Entry(NamedTuple):
    """What a row names, as a hash of one kind."""

    row: int
    hash: bytes


class WrongEntry(NamedTuple):
    """A row that cannot be taken, and why."""

    row: int
    message: str


class TooLong(ValueError):
    """The file has more rows than are taken at once."""


def read_entries(file: IO[bytes], kind: ListKind, addresses: Addresses) -> Iterator[Entry | WrongEntry]:
    """The first cell of every row; a first row that names a column is passed over. Raises Unreadable, TooLong."""
    opened = open_file(file)
    for number, row in enumerate(chain([opened.columns], opened.rows), opened.header_row):
        text = row[0].strip() if row else ""
        if not text or (number == opened.header_row and text.lower() in _HEADERS):
            continue
        if number > MOST_ROWS + 1:
            raise TooLong(f"the file has more than {MOST_ROWS:,} rows")
        yield _entry(number, text, kind, addresses)


def _entry(row: int, text: str, kind: ListKind, addresses: Addresses) -> Entry | WrongEntry:
    try:
        if kind == "address":
            return Entry(row, addresses.read(text).hash)
        if kind == "domain":
            return Entry(row, addresses.read_domain(text))
    except NotAnAddress as error:
        return WrongEntry(row, str(error))
    octets = DIGEST_OCTETS[kind]
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != octets:
        return WrongEntry(row, f"this is not a {kind} hash, which has {octets * 2} hexadecimal digits")
    return Entry(row, digest)
