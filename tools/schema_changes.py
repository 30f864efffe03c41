"""What breaks when a contract's JSON Schema changes: old events must be readable by new code, new ones by old code."""

from typing import Any

Json = dict[str, Any]


def breaking_changes(old: Json, new: Json) -> list[str]:
    """One line per change that is not additive."""
    return _compare(old, new, old, new, "", ())


def _compare(old: Json, new: Json, old_root: Json, new_root: Json, at: str, seen: tuple[str, ...]) -> list[str]:
    if "$ref" in old and old["$ref"] in seen:
        return []
    seen = (*seen, old["$ref"]) if "$ref" in old else seen
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    where = at or "/"
    found: list[str] = []
    if _types(old, old_root) != _types(new, new_root):
        found.append(f"{where}: type {_types(old, old_root)} became {_types(new, new_root)}")
        return found
    before, after = old.get("properties", {}), new.get("properties", {})
    found += [f"{where}: {name} is gone" for name in before if name not in after]
    added = set(new.get("required", ())) - set(old.get("required", ()))
    found += [f"{where}: {name} became required" for name in sorted(added)]
    dropped = set(old.get("required", ())) - set(new.get("required", ()))
    found += [f"{where}: {name} is no longer always there" for name in sorted(dropped)]
    for key in ("enum", "const", "pattern", "format"):
        if old.get(key) != new.get(key):
            found.append(f"{where}: {key} {old.get(key)!r} became {new.get(key)!r}")
    found += _tightened(old, new, where)
    for name in before.keys() & after.keys():
        found += _compare(before[name], after[name], old_root, new_root, f"{at}/{name}", seen)
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            found += _compare(old[key], new[key], old_root, new_root, f"{at}/*", seen)
    for one, other in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=False):
        found += _compare(one, other, old_root, new_root, at, seen)
    return found


def _tightened(old: Json, new: Json, where: str) -> list[str]:
    found = []
    for key, sign in (
        ("minimum", 1),
        ("minLength", 1),
        ("minItems", 1),
        ("maximum", -1),
        ("maxLength", -1),
        ("maxItems", -1),
    ):
        before, after = old.get(key), new.get(key)
        if after is not None and (before is None or after * sign > before * sign):
            found.append(f"{where}: {key} {before} became {after}")
    return found


def _resolve(schema: Json, root: Json) -> Json:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _types(schema: Json, root: Json) -> str:
    if "anyOf" in schema:
        return "|".join(sorted(_types(_resolve(one, root), root) for one in schema["anyOf"]))
    if "type" in schema:
        return str(schema["type"])
    return type(schema["const"]).__name__ if "const" in schema else "any"
