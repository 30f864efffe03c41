"""What an import does with each column of a file."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

from contacts.domain import values
from contacts.domain.import_headers import suggest
from contacts.domain.import_options import Policy
from contacts.domain.values import AttributeType, Definition

FIELDS = ("email", "first_name", "last_name", "language", "timezone", "country", "external_id", "phone", "company",
          "city", "owner", "stage")  # fmt: skip
TAGS = "tags"
# Not a column of the file: the reader puts it behind them.
PHONE_NORMALISED = "phone_normalised"
CATEGORY_VALUES = 1000
CATEGORY_CHARACTERS = 100


# What becomes of a stage that is there already, unless the options name it: it moves on, and never back.
FORWARD: Literal["forward"] = "forward"


class WrongMapping(ValueError):
    """The mapping cannot be used; `column` names the one at fault."""

    def __init__(self, message: str, column: str, code: str = "invalid_mapping") -> None:
        super().__init__(message)
        self.column = column
        self.code = code


@dataclass(slots=True)
class AttributeColumn:
    """One column that fills an attribute. `kind` None: nothing seen yet.

    `values` None: not a category. `allowed` None: any text.
    """

    index: int
    name: str
    kind: AttributeType | None
    fixed: bool
    values: set[str] | None = field(default_factory=set)
    policy: Policy = "overwrite"
    allowed: frozenset[str] | None = None

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
    """The position of each field in a row, and what becomes of it in people who are there (`policies`)."""

    width: int
    fields: dict[str, int]
    attributes: list[AttributeColumn]
    policies: dict[str, Policy | Literal["forward"]] = field(default_factory=dict)


def make_plan(
    columns: Sequence[str],
    mapping: Mapping[str, str] | None,
    known: Mapping[str, Definition],
    *,
    create_attributes: bool,
    policies: Mapping[str, Policy] | None = None,
) -> Plan:
    """Lay the mapping over a file's header. Without a mapping, columns go by their names. Raises WrongMapping."""
    if mapping is None:
        mapping = suggest(columns, (*FIELDS, TAGS), known, create_attributes=create_attributes)
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
        if target in FIELDS or target == TAGS:
            fields[target] = index
        elif name == target or not values.is_attribute_name(name):
            known_targets = ", ".join((*FIELDS, TAGS))
            raise WrongMapping(f"{target!r} is neither a field ({known_targets}) nor attributes.<name>", column)
        elif name not in known and not create_attributes:
            raise WrongMapping(f"there is no attribute {name!r}", column, "unknown_attribute")
        else:
            defined = known.get(name)
            kind, allowed = (defined.kind, defined.allowed) if defined else (None, None)
            attributes[name] = AttributeColumn(index, name, kind, name in known, allowed=allowed)
    if "email" not in fields:
        raise WrongMapping("no column is mapped to email", "email", "missing_column")
    if "phone" in fields:
        fields[PHONE_NORMALISED] = len(columns)
    plan = Plan(len(columns), fields, list(attributes.values()))
    _set_policies(plan, policies or {})
    return plan


def _set_policies(plan: Plan, policies: Mapping[str, Policy]) -> None:
    default = policies.get("default", "overwrite")
    settled = {"email", TAGS, PHONE_NORMALISED}  # people are told apart by it; only added; goes with the phone
    targets = {*plan.fields} - settled | {f"attributes.{column.name}" for column in plan.attributes}
    for target in policies:
        if target not in targets and target != "default":
            raise WrongMapping(f"on_conflict names {target!r}, to which no column is mapped", target)
    for column in plan.attributes:
        column.policy = policies.get(f"attributes.{column.name}", default)
    plan.policies = {name: policies.get(name, default) for name in plan.fields if name not in settled}
    if "stage" in plan.fields and "stage" not in policies and default in ("overwrite", "erase"):
        plan.policies["stage"] = FORWARD
