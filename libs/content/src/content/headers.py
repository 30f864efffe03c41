"""The one way a value gets into a header: encoded (RFC 2047), folded (RFC 5322), and never with a line break in it."""

import re
from base64 import b64encode
from functools import lru_cache

from common.contracts.addresses import InvalidAddress, a_label

LINE = 76
MAX_LINE = 998
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
# What nearly every address looks like: nothing in it needs quotes, an A-label or SMTPUTF8.
_USUAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9_.-]+")
_DOMAIN = re.compile(r"[a-z0-9_.-]+|\[[0-9a-z:.]+\]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_URL = re.compile(r"(?:https?://|mailto:)[!-;=?-~]+")


class HeaderError(ValueError):
    """The value cannot stand in a header."""


def refuse_breaks(value: str, header: str) -> str:
    """The value, if nothing in it could end a line. Raises HeaderError."""
    if _FORBIDDEN.search(value):
        raise HeaderError(f"{header}: the value has a line break or another control character in it")
    return value


def unstructured(name: str, value: str) -> bytes:
    """A whole header line of free text, with its CRLF. Raises HeaderError."""
    if not _NAME.fullmatch(name):
        raise HeaderError(f"{name!r} is no header name")
    refuse_breaks(value, name)
    used = len(name) + 2
    if _is_plain(value):
        return f"{name}: {_folded(value.split(' '), used)}\r\n".encode("ascii")
    return f"{name}: {encoded_words(value, used)}\r\n".encode("ascii")


def _is_plain(value: str) -> bool:
    """ASCII that a reader gets back as it is: no runs of blanks, nothing like an encoded word, no endless word."""
    if not value.isascii() or "=?" in value or "\t" in value or "  " in value or value != value.strip():
        return False
    return bool(value) and max(map(len, value.split(" "))) <= LINE


def _folded(words: list[str], used: int) -> str:
    pieces, length = [], used
    for index, word in enumerate(words):
        if index and length + 1 + len(word) > LINE:
            pieces.append("\r\n " + word)
            length = 1 + len(word)
        else:
            pieces.append(f" {word}" if index else word)
            length += len(word) + (1 if index else 0)
    return "".join(pieces)


def encoded_words(value: str, used: int) -> str:
    """RFC 2047, UTF-8 and base64, each word at most 75 characters and whole in its characters."""
    words: list[str] = []
    room = max(3, (LINE - used - 12) // 4 * 3)
    chunk = bytearray()
    for character in value:
        encoded = character.encode("utf-8", "replace")
        if len(chunk) + len(encoded) > room:
            words.append(f"=?utf-8?B?{b64encode(chunk).decode('ascii')}?=" if chunk else "")
            chunk.clear()
            room = 45
        chunk += encoded
    if chunk:
        words.append(f"=?utf-8?B?{b64encode(chunk).decode('ascii')}?=")
    return "\r\n ".join(words)


def address_spec(email: str, *, smtputf8: bool = False) -> str:
    """local@domain with an ASCII domain; a local part beyond ASCII only under SMTPUTF8. Raises HeaderError."""
    if _USUAL.fullmatch(email):
        local, _, domain = email.rpartition("@")
        return f"{local}@{domain.lower()}"
    refuse_breaks(email, "address")
    local, at, domain = email.rpartition("@")
    if not at or not local or not domain:
        raise HeaderError("an address has one @ with text on both sides")
    if not local.isascii() and not smtputf8:
        raise HeaderError("the local part of the address is not ASCII, which needs SMTPUTF8")
    if not _DOT_ATOM.fullmatch(local):
        if not (local.startswith('"') and local.endswith('"') and len(local) > 2):
            if re.search(r'[@<>,;:"\[\]]', local):
                raise HeaderError("the address's local part has characters that need quotes")
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        elif re.search(r'(?<!\\)"', local[1:-1]):
            raise HeaderError("the quotes in the address's local part do not match")
    return f"{local}@{_domain(domain)}"


def _domain(text: str) -> str:
    try:
        domain = a_label(text)
    except InvalidAddress as error:
        raise HeaderError(str(error)) from error
    if not _DOMAIN.fullmatch(domain):
        raise HeaderError(f"the address's domain {text!r} has characters that no domain has")
    return domain


def address(header: str, email: str, name: str | None = None, *, smtputf8: bool = False) -> bytes:
    """A From, To or Reply-To line with one address. Raises HeaderError."""
    spec = address_spec(email, smtputf8=smtputf8)
    if len(spec) > 320:
        raise HeaderError(f"{header}: the address is too long")
    name = (name or "").strip()
    if not name:
        return f"{header}: {spec}\r\n".encode()
    refuse_breaks(name, header)
    used = len(header) + 2
    plain = name.isascii() and "=?" not in name and "\t" not in name and "  " not in name
    if plain and _ATOMS.fullmatch(name) and len(name) <= LINE - used:
        shown = name
    elif plain and len(name) <= LINE - used - 20:
        shown = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        shown = encoded_words(name, used)
    last = len(shown.rpartition("\r\n")[2]) + (0 if "\r\n" in shown else used)
    joint = " " if last + len(spec) + 3 <= LINE else "\r\n "
    return f"{header}: {shown}{joint}<{spec}>\r\n".encode()


@lru_cache(maxsize=1024)
def sender_address(header: str, email: str, name: str | None) -> bytes:
    """The same for a campaign's sender, who is in every mail of it."""
    return address(header, email, name)


def message_id(value: str) -> bytes:
    """The Message-ID line; angle brackets are added when missing. Raises HeaderError."""
    wrapped = value if value.startswith("<") else f"<{value}>"
    if not _MESSAGE_ID.fullmatch(wrapped) or len(wrapped) > 250:
        raise HeaderError("Message-ID: expected id@domain")
    return f"Message-ID: {wrapped}\r\n".encode("ascii")


def list_unsubscribe(url: str, mailto: str | None = None) -> bytes:
    """List-Unsubscribe and the one-click line (RFC 2369, RFC 8058). Raises HeaderError."""
    targets = [target for target in (url, f"mailto:{mailto}" if mailto and ":" not in mailto else mailto) if target]
    for target in targets:
        if not _URL.fullmatch(target) or len(target) > MAX_LINE - 24:
            raise HeaderError("List-Unsubscribe: expected an https or mailto URL")
    line = "List-Unsubscribe: " + ",\r\n ".join(f"<{target}>" for target in targets) + "\r\n"
    one_click = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if url.startswith("http") else ""
    return (line + one_click).encode("ascii")


@lru_cache(maxsize=1024)
def list_id(identifier: str, name: str | None = None) -> bytes:
    """List-Id (RFC 2919): a dotted identifier, stable per list, with an optional name. Raises HeaderError."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+", identifier) or len(identifier) > 255:
        raise HeaderError("List-Id: expected a dotted identifier such as newsletter.example.com")
    if not name:
        return f"List-Id: <{identifier}>\r\n".encode("ascii")
    refuse_breaks(name, "List-Id")
    simple = name.isascii() and len(name) <= 50 and "=?" not in name
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    shown = f'"{quoted}"' if simple else encoded_words(name, 9)
    return f"List-Id: {shown}\r\n <{identifier}>\r\n".encode("ascii")


@lru_cache(maxsize=1024)
def feedback_id(value: str) -> bytes:
    """Feedback-ID: three free fields and the sender's own of 5 to 15 characters. Raises HeaderError."""
    if not re.fullmatch(r"[\w.-]{0,64}:[\w.-]{0,64}:[\w.-]{0,64}:[\w.-]{5,15}", value, re.ASCII):
        raise HeaderError("Feedback-ID: expected a:b:c:SenderId, the last of 5 to 15 characters")
    return f"Feedback-ID: {value}\r\n".encode("ascii")
