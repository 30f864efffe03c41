"""Which metrics and labels a PromQL expression asks for, held against what is declared in the code."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import promql_parser as promql
from common.metrics import declared
from prometheus_client import REGISTRY

# What Prometheus adds itself: to the samples of a target, to a failed scrape, and of alerts.
TARGET = frozenset({"job", "instance", "service", "process"})
OWN = {"up": TARGET, "ALERTS": frozenset({"alertname", "alertstate", "severity"})}

Known = Mapping[str, frozenset[str]]


def scraped() -> dict[str, frozenset[str]]:
    """The series of every process by name, with their labels."""
    known = dict(OWN)
    for one in declared():
        labels = TARGET | set(one.labels)
        if one.kind == "histogram":
            known[f"{one.name}_bucket"] = labels | {"le"}
            known[f"{one.name}_sum"] = known[f"{one.name}_count"] = labels
        else:
            known[one.name] = labels
    for family in REGISTRY.collect():
        if family.name.startswith(("process_", "python_")):
            known |= {sample.name: TARGET | set(sample.labels) for sample in family.samples}
    return known


def with_records(known: Known, rules: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """These, and what recording rules make of them."""
    found = dict(known)
    for rule in rules:
        if "record" in rule:
            found[rule["record"]] = _labels(promql.parse(rule["expr"]), found) - {"le"}
    return found


def faults(expression: str, known: Known) -> list[str]:
    """What is wrong with an expression, a line each."""
    try:
        tree = promql.parse(expression)
    except ValueError as error:
        return [f"{expression}: {error}"]
    wrong = []
    for node in _nodes(tree):
        if isinstance(node, promql.VectorSelector):
            if node.name not in known:
                wrong.append(f"no process has a metric {node.name}")
                continue
            asked = {matcher.name for matcher in node.matchers.matchers}
            wrong += [f"{node.name} has no label {label}" for label in sorted(asked - known[node.name])]
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            below = _labels(node.expr, known)
            wrong += [
                f"nothing there has a label {name} to group by" for name in node.modifier.labels if name not in below
            ]
    return wrong


def metrics_of(expression: str) -> set[str]:
    """The names of its series."""
    return {node.name for node in _nodes(promql.parse(expression)) if isinstance(node, promql.VectorSelector)}


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr):
            yield from _nodes(child)
    for child in getattr(node, "args", ()) or ():
        yield from _nodes(child)


def _labels(node: Any, known: Known) -> frozenset[str]:
    """The labels its result can have."""
    if isinstance(node, promql.AggregateExpr):
        below = _labels(node.expr, known)
        if node.modifier is None:
            return frozenset()
        by = node.modifier.type == promql.AggModifierType.By
        return below & set(node.modifier.labels) if by else below - set(node.modifier.labels)
    if isinstance(node, promql.VectorSelector):
        return known.get(node.name, frozenset())
    below = (one for one in _nodes(node) if isinstance(one, (promql.AggregateExpr, promql.VectorSelector)))
    first = next(below, None)  # of `a and b` and of `a / b`: the left side's
    return frozenset() if first is None else _labels(first, known)
