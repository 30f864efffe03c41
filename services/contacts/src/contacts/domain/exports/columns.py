"""The columns of an export, named as the importer reads them back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, Literal, cast

from contacts.domain.values import AttributeType

Kind = Literal["text", "number", "boolean", "time"]
Cell = str | float | bool | datetime | None
Row = Mapping[str, Any]

FIELDS: Mapping[str, Kind] = {
    "id": "text",
    "email": "text",
    "first_name": "text",
    "last_name": "text",
    "language": "text",
    "timezone": "text",
    "country": "text",
    "external_id": "text",
    "phone": "text",
    "company": "text",
    "city": "text",
    "owner": "text",
    "stage": "text",
    "score": "number",
    "grade": "text",
    "tracking": "text",
    "created_at": "time",
    "updated_at": "time",
}
TAGS = "tags"
TAG_SEPARATOR = ","  # no tag has one in it
LISTS = "lists"
LIST_SEPARATOR = "\n"  # a list's name may have anything else in it
ATTRIBUTE, CONSENT = "attributes.", "consent."


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in the file, and what is in it."""

    name: str
    kind: Kind
    read: Callable[[Row], Cell]


class UnknownColumn(ValueError):
    """There is no column of this name; `known` are those that there are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no column {name!r}")
        self.name = name
        self.known = known


def columns(
    attributes: Mapping[str, AttributeType], purposes: Mapping[str, str], wanted: Sequence[str] | None = None
) -> list[Column]:
    """All columns, or those wanted, in their order. `purposes`: key → id. Raises UnknownColumn."""
    every = {name: Column(name, kind, _field(name)) for name, kind in FIELDS.items()}
    every[TAGS] = Column(TAGS, "text", _tags)
    every[LISTS] = Column(LISTS, "text", _lists)
    for name, kind in sorted(attributes.items()):
        key = ATTRIBUTE + name
        every[key] = Column(key, kind if kind in ("number", "boolean") else "text", _attribute(name, kind))
    for key, purpose_id in sorted(purposes.items()):
        every[CONSENT + key] = Column(CONSENT + key, "text", _consent(purpose_id))
    if wanted is None:
        return list(every.values())
    for name in wanted:
        if name not in every:
            raise UnknownColumn(name, list(every))
    return [every[name] for name in dict.fromkeys(wanted)]


def written(value: Cell) -> str:
    """A cell as text, as the importer reads it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")


def _field(name: str) -> Callable[[Row], Cell]:
    if name == "id":
        return lambda row: str(row["id"])
    return cast("Callable[[Row], Cell]", itemgetter(name))


def _tags(row: Row) -> Cell:
    return TAG_SEPARATOR.join(row["tags"]) or None


def _lists(row: Row) -> Cell:
    return LIST_SEPARATOR.join(row["lists"]) or None


def _attribute(name: str, kind: AttributeType) -> Callable[[Row], Cell]:
    types: tuple[type, ...] = {"number": (int, float), "boolean": (bool,)}.get(kind, (str,))

    def read(row: Row) -> Cell:
        value: Any = row["attributes"].get(name)
        return cast("Cell", value) if isinstance(value, types) else None

    return read


def _consent(purpose_id: str) -> Callable[[Row], Cell]:
    return lambda row: row["consents"].get(purpose_id)
