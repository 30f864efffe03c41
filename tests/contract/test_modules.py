"""Modules stay small, rooms stay few, and nothing is declared twice."""

import re
import statistics
from pathlib import Path

import common.metrics
from common.metrics import declared
from prometheus_client import REGISTRY

from tests.contract.services import ROOT, SERVICES
from tests.contract.world import operations_of
from tools.docs import app, metrics

LONGEST = 400
MEDIAN = 110


def modules() -> list[Path]:
    found = [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
    return [path for path in found if path.stat().st_size and "migrations" not in path.parts]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = {str(path.relative_to(ROOT)): lines(path) for path in modules() if lines(path) > LONGEST}
    assert long == {}


def test_the_median_module_is_short() -> None:
    assert statistics.median(map(lines, modules())) < MEDIAN


def test_there_is_no_room_for_everything() -> None:
    assert [path for path in modules() if re.search(r"utils?|helpers?|misc", path.stem)] == []


def test_every_metric_has_our_prefix_and_a_unit() -> None:
    found = re.findall(r"^\| `(\w+)` \| (\w+) \|", metrics(), re.MULTILINE)
    assert len({name for name, _ in found}) == len(found) > 10
    for name, kind in found:
        assert name.startswith("barid_"), name
        assert (kind == "counter") == name.endswith("_total"), name
        if kind == "histogram":
            assert re.search(r"_(seconds|bytes|rows|size)$", name), name


def test_metrics_are_declared_in_one_module_and_nowhere_else() -> None:
    elsewhere = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name != "metrics.py"
        and re.search(r"prometheus_client.*\b(Counter|Gauge|Histogram|Summary)\b", path.read_text())
    ]
    assert elsewhere == []
    page = metrics()
    for metric in REGISTRY.collect():
        if metric.name.startswith("barid_"):
            name = metric.name + ("_total" if metric.type == "counter" else "")
            assert f"| `{name}` |" in page, f"{name} is not in docs/metrics.md"


def test_every_metric_declared_is_set_somewhere() -> None:
    names = {id(value): name for name, value in vars(common.metrics).items()}
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules() if path.name != "metrics.py")
    unset = [one.name for one in declared() if not re.search(rf"\b{names[id(one.metric)]}\b", code)]
    assert unset == []


def test_no_label_of_a_metric_can_grow_without_bound() -> None:
    bounded = {
        "service", "consumer", "outcome", "class", "provider", "status", "kind", "lane", "why", "type", "method",
        "route",
    }  # fmt: skip
    assert {label for one in declared() for label in one.labels} <= bounded


def test_who_takes_idempotency_keys_also_forgets_them() -> None:
    for service in SERVICES:
        if any(operation.method == "post" for operation in operations_of(app(service))):
            jobs = (ROOT / "services" / service / "src" / service / "jobs.py").read_text(encoding="utf-8")
            assert "forget_old_keys" in jobs, f"{service} keeps its idempotency keys for ever"
