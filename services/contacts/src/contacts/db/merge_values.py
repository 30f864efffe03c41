"""Expressions of an import's values: what a staged row says, and what becomes of the contact that is there already."""

from collections.abc import Collection
from typing import Any

from contacts.domain.values import STAGES

_TEXTS = ("first_name", "last_name", "language", "timezone", "country", "external_id", "phone", "company", "city",
          "owner", "stage")  # fmt: skip
_CALLED = {
    "overwrite": "case when src.phone is null then c.phone_normalised else src.phone_normalised end",
    "fill": "case when c.phone is null then src.phone_normalised else c.phone_normalised end",
    "keep": "c.phone_normalised",
    "erase": "src.phone_normalised",
}
_STAGES = f"array[{', '.join(repr(one) for one in STAGES)}]"
_LATER_STAGE = (
    f"case when array_position({_STAGES}, src.stage) > array_position({_STAGES}, c.stage) then src.stage"
    " else c.stage end"
)
_CASTS = {"number": "{}::numeric", "boolean": "(lower({}) = 'true')"}
_NO_ATTRIBUTES = "case when $5::text[] is not null then '{}'::jsonb end"


def values_of(plan: dict[str, Any]) -> dict[str, str]:
    """Each field of a row `s` of the stage. $5: the attributes' names; $9: tags for everybody."""
    fields = plan["fields"]
    found = {name: _cell(fields[name]) if name in fields else "null::text" for name in (*_TEXTS, "phone_normalised")}
    found["attributes"] = _attributes(plan, ("keep", "fill", "overwrite", "erase"))
    found["attributes_filled"] = _attributes(plan, ("fill",))
    found["attributes_over"] = _attributes(plan, ("overwrite", "erase"))
    found["tags"] = "$9::text[]"
    if "tags" in fields:
        own = f"coalesce(string_to_array({_cell(fields['tags'])}, ','), '{{}}')"
        found["tags"] = f"array(select distinct tag from unnest($9::text[] || {own}) tag order by tag)"  # noqa: S608
    return found


def values_after(plan: dict[str, Any]) -> dict[str, str]:
    """Each field of a contact `c` after the row `src`, by the column's policy."""
    texts = {
        "overwrite": "coalesce(src.{0}, c.{0})",
        "fill": "coalesce(c.{0}, src.{0})",
        "keep": "c.{0}",
        "erase": "src.{0}",
        "forward": _LATER_STAGE,
    }
    policies = plan.get("policies", {})
    found = {
        f"{name}_to": texts[policies.get(name, "overwrite") if name in plan["fields"] else "keep"].format(name)
        for name in _TEXTS
    }
    if policies.get("stage") == "erase":
        found["stage_to"] = texts["overwrite"].format("stage")  # everybody is in some stage
    found["phone_normalised_to"] = _CALLED[policies.get("phone", "overwrite") if "phone" in plan["fields"] else "keep"]
    after = "c.attributes"
    erased = [n for n, column in enumerate(plan["attributes"], 1) if column.get("policy") == "erase"]
    if erased:
        after = f"({after} - array[{', '.join(f'($5::text[])[{n}]' for n in erased)}])"
    if any(column.get("policy") == "fill" for column in plan["attributes"]):
        after = f"src.attributes_filled || {after}"
    found["attributes_to"] = f"{after} || src.attributes_over"
    return found


def columns_of(plan: dict[str, Any]) -> dict[str, str]:
    """Columns and values of new contacts that most files do not set: a million rows should not pay for them."""
    given = [name for name in ("owner", "stage") if name in plan["fields"]]
    values = {"owner": "owner", "stage": "coalesce(stage, 'lead')"}
    return {
        "more_columns": "".join(f", {name}" for name in given),
        "more_values": "".join(f", {values[name]}" for name in given),
    }


def _cell(index: int) -> str:
    return f"nullif(s.cells[{index + 1}], '')"


def _attributes(plan: dict[str, Any], policies: Collection[str]) -> str:
    pairs = [
        f"($5::text[])[{n}], " + _CASTS.get(column["kind"] or "text", "{}").format(_cell(column["index"]))
        for n, column in enumerate(plan["attributes"], 1)
        if column.get("policy", "overwrite") in policies
    ]
    # A function takes at most 100 arguments.
    groups = [f"jsonb_build_object({', '.join(pairs[i : i + 40])})" for i in range(0, len(pairs), 40)]
    return f"jsonb_strip_nulls({' || '.join(groups)})" if groups else _NO_ATTRIBUTES
