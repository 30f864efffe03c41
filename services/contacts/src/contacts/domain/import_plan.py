"""What an import does with each column, and the reading of rows by it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from common.ids import new_id

from contacts.domain import values
from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.domain.values import AttributeType, WrongValue

FIELDS = ("email", "first_name", "last_name", "language", "timezone", "country", "external_id")
CATEGORY_VALUES = 1000
CATEGORY_CHARACTERS = 100

StagedRow = tuple[
    UUID, int, UUID, str | None, str | None, bytes | None, bytes | None, str | None, str | None, list[str]
]
STAGED_COLUMNS = (
    "import_id", "row", "contact_id", "email", "email_normalised", "address_hash", "domain_hash", "code",
    "message", "cells",
)  # fmt: skip


class WrongMapping(ValueError):
    """The mapping cannot be used; `column` names the one at fault."""

    def __init__(self, message: str, column: str, code: str = "invalid_mapping") -> None:
        super().__init__(message)
        self.column = column
        self.code = code


@dataclass(slots=True)
class AttributeColumn:
    """One column that fills an attribute. `kind` None: nothing seen yet. `values` None: not a category."""

    index: int
    name: str
    kind: AttributeType | None
    fixed: bool
    values: set[str] | None = field(default_factory=set)

    def learn(self, text: str) -> None:
        """Narrow the type of a new attribute by one more value of it."""
        if self.kind is None:
            self.kind = values.detect(text)
        elif self.kind != "text" and not values.written_as(self.kind, text):
            self.kind = "text"
        if self.values is not None:
            self.values.add(text)
            if len(self.values) > CATEGORY_VALUES or len(text) > CATEGORY_CHARACTERS:
                self.values = None

    @property
    def is_category(self) -> bool:
        """Few, short words: worth an index from the start. Others may be indexed later."""
        return self.kind in ("text", "boolean") and bool(self.values)


@dataclass(slots=True)
class Plan:
    """The position of each field in a row; −1: not in the file."""

    width: int
    fields: dict[str, int]
    attributes: list[AttributeColumn]


def make_plan(
    columns: Sequence[str],
    mapping: Mapping[str, str] | None,
    known: Mapping[str, AttributeType],
    *,
    create_attributes: bool,
) -> Plan:
    """Lay the mapping over a file's header. Without a mapping, columns go by their names. Raises WrongMapping."""
    if mapping is None:
        mapping = _guess(columns, known, create_attributes=create_attributes)
    position = {column: index for index, column in enumerate(columns) if column}
    fields: dict[str, int] = {}
    attributes: dict[str, AttributeColumn] = {}
    for column, target in mapping.items():
        if column.strip() not in position:
            raise WrongMapping(f"the file has no column {column!r}", column, "missing_column")
        index = position[column.strip()]
        name = target.removeprefix("attributes.")
        if target in fields or (name != target and name in attributes):
            raise WrongMapping(f"two columns are mapped to {target!r}", column)
        if target in FIELDS:
            fields[target] = index
        elif name == target or not values.is_attribute_name(name):
            raise WrongMapping(f"{target!r} is neither a field ({', '.join(FIELDS)}) nor attributes.<name>", column)
        elif name not in known and not create_attributes:
            raise WrongMapping(f"there is no attribute {name!r}", column, "unknown_attribute")
        else:
            attributes[name] = AttributeColumn(index, name, known.get(name), name in known)
    if "email" not in fields:
        raise WrongMapping("no column is mapped to email", "email", "missing_column")
    return Plan(len(columns), fields, list(attributes.values()))


def _guess(columns: Sequence[str], known: Mapping[str, AttributeType], *, create_attributes: bool) -> dict[str, str]:
    synonyms = {"e_mail": "email", "mail": "email", "email_address": "email", "firstname": "first_name"}
    synonyms |= {"lastname": "last_name", "surname": "last_name", "locale": "language", "time_zone": "timezone"}
    mapping: dict[str, str] = {}
    for column in columns:
        name = re.sub(r"\W+", "_", column.strip().lower()).strip("_")[:63]
        name = synonyms.get(name, name)
        if name in FIELDS and name not in mapping.values():
            mapping[column] = name
        elif name not in FIELDS and (name in known or (create_attributes and values.is_attribute_name(name))):
            target = f"attributes.{name}"
            if target not in mapping.values():
                mapping[column] = target
    return mapping


def _remembering(check: Callable[[str], str]) -> Callable[[str], str | WrongValue]:
    @lru_cache(maxsize=10_000)
    def checked(text: str) -> str | WrongValue:
        try:
            return check(text)
        except WrongValue as error:
            return error

    return checked


class RowReader:
    """Turns rows of the file into rows of the stage. The header is row 1; empty lines count, but are passed over."""

    def __init__(self, plan: Plan, import_id: UUID, addresses: Addresses) -> None:
        self.plan = plan
        self.rows_read = 0
        self._import_id = import_id
        self._addresses = addresses
        self._row = 1
        checks = {"language": values.language, "country": values.country, "timezone": values.timezone}
        self._checked = [
            (plan.fields[name], f"invalid_{name}", _remembering(check))
            for name, check in checks.items()
            if name in plan.fields
        ]
        self._plain = [(plan.fields[name], name) for name in FIELDS[1:] if name in plan.fields and name not in checks]

    def read(self, rows: Iterable[list[str]]) -> Iterator[StagedRow]:
        """Every row that is not empty, with what is wrong with it, if anything."""
        import_id, email, width = self._import_id, self.plan.fields["email"], self.plan.width
        read_address = self._addresses.read
        for row in rows:
            given = row
            self._row += 1
            if not any(given):
                continue
            self.rows_read += 1
            if len(given) != width:
                if len(given) > width and any(given[width:]):
                    yield self._reject(given, "too_many_columns", f"the row has {len(given)} columns, not {width}")
                    continue
                given = (given + [""] * width)[:width]
            if not given[email].strip():
                yield self._reject(given, "missing_email", "the row has no address")
                continue
            try:
                address = read_address(given[email])
            except NotAnAddress as error:
                yield self._reject(given, "invalid_email", str(error))
                continue
            cells = given.copy()
            wrong = self._normalise(cells)
            if wrong is not None:
                # With the hash, so that an erasure finds the row.
                yield self._reject(given, *wrong, address.hash)
                continue
            yield (
                import_id, self._row, new_id(), address.email, address.normalised, address.hash,
                address.domain_hash, None, None, cells,
            )  # fmt: skip

    def _reject(self, cells: list[str], code: str, message: str, hash_: bytes | None = None) -> StagedRow:
        return self._import_id, self._row, self._import_id, None, None, hash_, None, code, message, cells

    def _normalise(self, cells: list[str]) -> tuple[str, str] | None:
        for index, name in self._plain:
            cells[index] = text = cells[index].strip()
            if len(text) > values.NAME_CHARACTERS:
                return "value_too_long", f"{name} is longer than {values.NAME_CHARACTERS} characters"
        for index, code, check in self._checked:
            text = cells[index].strip()
            if text:
                verdict = check(text)
                if isinstance(verdict, WrongValue):
                    return code, str(verdict)
                text = verdict
            cells[index] = text
        for column in self.plan.attributes:
            cells[column.index] = text = cells[column.index].strip()
            if not text:
                continue
            if len(text) > values.TEXT_CHARACTERS:
                return "value_too_long", f"{column.name} is longer than {values.TEXT_CHARACTERS} characters"
            if not column.fixed:
                column.learn(text)
            elif column.kind != "text" and column.kind is not None and not values.written_as(column.kind, text):
                return "invalid_attribute", f"{column.name} is not a {column.kind}: {text[:60]!r}"
        return None
