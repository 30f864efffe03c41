"""What an import does with each column of a file."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from contacts.domain import values
from contacts.domain.values import AttributeType

FIELDS = ("email", "first_name", "last_name", "language", "timezone", "country", "external_id")
CATEGORY_VALUES = 1000
CATEGORY_CHARACTERS = 100


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

    def learn(self, texts: AbstractSet[str]) -> None:
        """Narrow the type of a new attribute by more values of it; in which order they come does not matter."""
        if self.kind != "text":
            for text in texts:
                kind = values.detect(text)
                self.kind = kind if self.kind in (None, kind) else "text"
                if self.kind == "text":
                    break
        if self.values is not None:
            self.values |= texts
            if len(self.values) > CATEGORY_VALUES or any(len(text) > CATEGORY_CHARACTERS for text in texts):
                self.values = None

    @property
    def learns(self) -> bool:
        """Whether more values could still tell anything."""
        return not self.fixed and (self.kind != "text" or self.values is not None)

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
