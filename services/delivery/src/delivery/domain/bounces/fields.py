"""The fields of a delivery status report (RFC 3464), wherever in a mail they stand."""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

_FIELD = re.compile(r"([A-Za-z][A-Za-z-]{2,40})[ \t]*:[ \t]*(.*)")
_COMMENT = re.compile(r"\(([^()]{0,400})\)")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>()\[\]:;,\"'|/@]{1,128}@[^\s\x00-\x1f\x7f<>()\[\]:;,\"'|/@]{1,253}")
# Servers pass on ORCPT as it came: `+` and `=` as in RFC 3461 §4, all else as in RFC 6533 §3.
_XTEXT = re.compile(r"\+(2B|3D)|\\x\{([0-9A-F]{2,6})\}")
_NAMES_RECIPIENT = ("final-recipient", "original-recipient")
MOST_RECIPIENTS = 500


@dataclass(frozen=True, slots=True)
class RecipientFields:
    """What a report says about one recipient. Empty text: the field is not there."""

    fields: dict[str, str] = field(default_factory=dict)

    @property
    def recipient(self) -> str:
        """Whom the mail was for, as its sender wrote it if the report tells."""
        names = [address_of(self.fields[name]) for name in reversed(_NAMES_RECIPIENT) if self.fields.get(name)]
        return next((name for name in names if "@" in name), names[0] if names else "")

    @property
    def action(self) -> str:
        """failed, delayed, delivered, relayed, expanded, or what else it says."""
        return _COMMENT.sub("", self.fields.get("action", "")).strip().lower()

    @property
    def status(self) -> str:
        """The enhanced status code."""
        found = _STATUS.search(self.fields.get("status", ""))
        return found[0] if found else ""

    @property
    def by_program(self) -> bool:
        """Whether the words are those of a local program that took the mail, and not of a server."""
        return self.fields.get("diagnostic-code", "").strip().lower().startswith("x-unix")

    @property
    def category(self) -> str:
        """What PowerMTA made of it, in its own words."""
        return self.fields.get("x-powermta-bouncecategory", "").strip().lower()

    @property
    def diagnostic(self) -> str:
        """The server's words: Diagnostic-Code without its type, or else what is in brackets behind the status."""
        _, typed, text = self.fields.get("diagnostic-code", "").partition(";")
        words = text if typed else self.fields.get("diagnostic-code", "")
        return " ".join((words or " ".join(_COMMENT.findall(self.fields.get("status", "")))).split())


def address_of(value: str) -> str:
    """The address in `rfc822; <user@example.com>`, or the bare name if it has none."""
    _, typed, text = value.partition(";")
    text = unescaped((text if typed else value).strip())
    found = ADDRESS.search(text)
    return clean_address(found[0]) if found else text.strip("<>\"' ")[:254]


def unescaped(address: str) -> str:
    """The address as it was before a server made it an ORCPT; of one that it did not, `ann+2Bx` is read as `ann+x`."""
    return _XTEXT.sub(_character, address)


def _character(found: re.Match[str]) -> str:
    code = int(found[1] or found[2], 16)
    character = chr(code) if code <= sys.maxunicode else " "
    return character if character.isprintable() and character != " " else found[0]


def clean_address(address: str) -> str:
    """The address without what stuck to it: the full stop of its sentence, the name of its kind."""
    return address.rstrip(".!?").removeprefix("SMTP=").removeprefix("smtp=")


def recipients_of(text: str) -> list[RecipientFields]:
    """The groups of fields that name a recipient. A group ends at an empty line, or where its recipient comes again."""
    groups: list[RecipientFields] = []
    for group in _groups(text.splitlines()):
        named = any(name in group for name in _NAMES_RECIPIENT)
        if named and ("action" in group or "status" in group or "diagnostic-code" in group):
            groups.append(RecipientFields(group))
    return _distinct(groups)[:MOST_RECIPIENTS]


def fields_of(text: str) -> list[tuple[str, str]]:
    """All fields of a text, in order, unfolded."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line[:1] in {" ", "\t"} and line.strip() and found:
            name, value = found[-1]
            found[-1] = (name, value if len(value) > 4000 else f"{value} {line.strip()}")
        elif match := _FIELD.match(line):
            found.append((match[1].lower(), match[2].strip()))
        elif not line.strip():
            found.append(("", ""))
    return found


def _groups(lines: list[str]) -> Iterable[dict[str, str]]:
    group: dict[str, str] = {}
    for name, value in fields_of("\n".join(lines)):
        if not name or (name in group and name in _NAMES_RECIPIENT):
            yield group
            group = {}
        if name:
            group.setdefault(name, value)
    yield group


def _distinct(groups: list[RecipientFields]) -> list[RecipientFields]:
    seen: dict[tuple[str, str], RecipientFields] = {}
    for group in groups:
        seen.setdefault((group.recipient.lower(), group.action), group)
    return list(seen.values())
