"""deploy/prometheus, deploy/grafana and docs/runbooks are held against the code; planted faults turn the checks red."""

import copy
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.deploy.promql import Known, faults, metrics_of, scraped, with_records
from tests.fixtures.inventory import processes

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana"
RUNBOOKS = ROOT / "docs/runbooks"
RUNBOOK_URL = "https://barid.dev/docs/runbooks/"
BLOCK = re.compile(r"```promql\n(.*?)```", re.DOTALL)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    files = [load(path) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def alerts(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for rule in found if "alert" in rule]


def rule_tests() -> list[dict[str, Any]]:
    files = [load(path) for path in sorted((PROMETHEUS / "tests").glob("*.yml"))]
    return [group for file in files for group in file["tests"]]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (GRAFANA / "dashboards").glob("*.json")}


def runbooks() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in RUNBOOKS.glob("*.md") if path.stem != "README"}


def known() -> Known:
    return with_records(scraped(), rules())


# The checks: a line for each fault


def faults_of_rules(found: list[dict[str, Any]]) -> list[str]:
    names = with_records(scraped(), found)
    return [
        f"{rule.get('alert') or rule['record']}: {fault}" for rule in found for fault in faults(rule["expr"], names)
    ]


def faults_of_alerts(found: list[dict[str, Any]], pages: Mapping[str, str]) -> list[str]:
    wrong = []
    for rule in alerts(found):
        name, notes = rule["alert"], rule.get("annotations", {})
        if rule.get("labels", {}).get("severity") not in {"page", "ticket"}:
            wrong.append(f"{name}: the severity is neither page nor ticket")
        if not notes.get("summary"):
            wrong.append(f"{name}: no summary")
        if notes.get("runbook_url") != f"{RUNBOOK_URL}{name}.md":
            wrong.append(f"{name}: the runbook is not {name}.md")
        if name not in pages:
            wrong.append(f"{name}: docs/runbooks/{name}.md does not exist")
    named = {rule["alert"] for rule in alerts(found)}
    return wrong + [f"docs/runbooks/{name}.md: there is no such alert" for name in sorted(pages.keys() - named)]


def faults_of_runbook(name: str, text: str, names: Known) -> list[str]:
    wrong = [] if text.startswith(f"# {name}\n") else [f"{name}: the page does not name its alert"]
    for heading in ("Diagnosis", "Fix", "Rollback"):
        section = re.search(rf"\n## {heading}\n(.*?)(?=\n## |\Z)", text, re.DOTALL)
        if section is None or len(section.group(1).split()) < 5:
            wrong.append(f"{name}: nothing under {heading}")
    queries = [line for block in BLOCK.findall(text) for line in block.strip().splitlines()]
    if not queries:
        wrong.append(f"{name}: no query that finds the cause")
    return wrong + [f"{name}: {fault}" for query in queries for fault in faults(query, names)]


def faults_of_rule_tests(found: list[dict[str, Any]], groups: list[dict[str, Any]], names: Known) -> list[str]:
    wrong = [
        f"{group['name']}: {fault}"
        for group in groups
        for series in group["input_series"]
        for fault in faults(series["series"], names)
    ]
    tried = [test for group in groups for test in group["alert_rule_test"]]
    for name in {rule["alert"] for rule in alerts(found)}:
        fires = {bool(test["exp_alerts"]) for test in tried if test["alertname"] == name}
        wrong += [] if True in fires else [f"{name}: no test in which it fires"]
        wrong += [] if False in fires else [f"{name}: no test in which it does not fire"]
    return wrong


def faults_of_dashboard(name: str, board: Mapping[str, Any], names: Known) -> list[str]:
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    wrong = [f"{name}, {panel['title']}: it asks for nothing" for panel in panels if not panel.get("targets")]
    for panel in panels:
        for target in panel["targets"]:
            wrong += [f"{name}, {panel['title']}: {fault}" for fault in faults(target["expr"], names)]
    for note in board["annotations"]["list"]:
        wrong += [f"{name}, {note['name']}: {fault}" for fault in faults(note["expr"], names)]
    return wrong


def faults_of_targets(config: Mapping[str, Any]) -> list[str]:
    (job,) = [one for one in config["scrape_configs"] if one["job_name"] == "barid"]
    wrong = (
        [] if job.get("honor_labels") else ["without honor_labels the service a metric names becomes exported_service"]
    )
    running = {(one.service, one.command) for one in processes()}
    scraped_ones = set()
    addresses: Counter[str] = Counter()
    for group in job["static_configs"]:
        service, process = group["labels"]["service"], group["labels"]["process"]
        scraped_ones.add((service, process))
        addresses.update(group["targets"])
        wrong += [
            f"{target} is no process of {service} on port 8000"
            for target in group["targets"]
            if not re.fullmatch(rf"{service}-[a-z]+:8000", target)
        ]
        if f"{service}-{process}:8000" not in group["targets"]:
            wrong.append(f"{service} {process} is not {service}-{process}:8000")
    wrong += [f"{service} {process} is no process of an installation" for service, process in scraped_ones - running]
    wrong += [f"nobody scrapes {service} {process}" for service, process in running - scraped_ones]
    return wrong + [f"{address} is scraped twice" for address, times in addresses.items() if times > 1]


# They hold


def test_every_rule_asks_for_metrics_and_labels_that_processes_have() -> None:
    assert faults_of_rules(rules()) == []


def test_every_alert_has_a_severity_a_summary_and_a_runbook_and_every_runbook_an_alert() -> None:
    assert len(alerts(rules())) > 15
    assert faults_of_alerts(rules(), runbooks()) == []


@pytest.mark.parametrize("name", sorted(runbooks()))
def test_a_runbook_names_its_alert_a_query_a_fix_and_a_rollback(name: str) -> None:
    assert faults_of_runbook(name, runbooks()[name], known()) == []


def test_runbooks_name_interfaces_that_exist() -> None:
    text = "\n".join(runbooks().values())
    document = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))["paths"]
    templates = {re.sub(r"\{\w+\}", "{id}", path): methods for path, methods in document.items()}
    asked = re.findall(r"(GET|POST|DELETE) (/v1/[a-z/{}-]+)", text)
    assert len(asked) > 5
    assert [(method, path) for method, path in asked if method.lower() not in templates.get(path, {})] == []


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    assert faults_of_rule_tests(rules(), rule_tests(), known()) == []


def test_every_panel_asks_for_metrics_and_labels_that_processes_have() -> None:
    boards = dashboards()
    assert "overview.json" in boards
    assert [fault for name, board in boards.items() for fault in faults_of_dashboard(name, board, known())] == []


def test_the_overview_shows_every_metric_that_an_alert_asks_for() -> None:
    board = dashboards()["overview.json"]
    shown = {name for panel in board["panels"] for t in panel.get("targets", ()) for name in metrics_of(t["expr"])}
    records = {rule["record"]: metrics_of(rule["expr"]) for rule in rules() if "record" in rule}
    shown |= {name for record in shown & records.keys() for name in records[record]}
    asked = {name for rule in alerts(rules()) for name in metrics_of(rule["expr"]) if name.startswith("barid_")}
    # Said by the panel of lag and age, and by one number at the top.
    asked -= {"barid_consumer_last_poll_timestamp_seconds", "barid_consumer_partitions", "barid_ledger_mends_total"}
    assert sorted(asked - shown) == []


def test_panels_have_a_data_source_that_is_provisioned_and_a_place_of_their_own() -> None:
    sources = load(GRAFANA / "provisioning/datasources/prometheus.yaml")["datasources"]
    uids = {source["uid"] for source in sources}
    for board in dashboards().values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        cells = [
            (x, y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert {panel["datasource"]["uid"] for panel in board["panels"] if panel["type"] != "row"} <= uids


def test_prometheus_scrapes_every_process_and_nothing_else() -> None:
    assert faults_of_targets(load(PROMETHEUS / "prometheus.yml")) == []


# promtool, for real


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI"):
        pytest.fail("promtool is not installed (Debian: the package prometheus)")
    if found is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus); CI runs it")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def files(directory: Path, kind: str) -> list[str]:
    found = [str(path) for path in sorted((directory / kind).glob("*.yml"))]
    assert found
    return found


def test_promtool_takes_configuration_and_rules(promtool: str) -> None:
    done = run(promtool, "check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(promtool, "check", "rules", *files(PROMETHEUS, "rules"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_sees_every_alert_fire_when_it_should(promtool: str) -> None:
    done = run(promtool, "test", "rules", *files(PROMETHEUS, "tests"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_misses_a_metric_that_was_misspelled(promtool: str, tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "p")
    path = tmp_path / "p/rules/alerts.yml"
    text = path.read_text(encoding="utf-8")
    assert "barid_outbox_age_seconds" in text
    path.write_text(text.replace("barid_outbox_age_seconds", "barid_outbox_age_second"), encoding="utf-8")
    assert run(promtool, "check", "rules", str(path)).returncode == 0, "it only looks at the syntax"
    assert run(promtool, "test", "rules", str(tmp_path / "p/tests/events.yml")).returncode != 0


# Planted faults: each turns a check red


def replaced(document: Any, before: str, after: str) -> Any:
    text = json.dumps(document)
    assert before in text
    return json.loads(text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("barid_dead_letters", "barid_dead_leters", "no process has a metric barid_dead_leters"),
        ("barid_jobs_finished_total", "barid_jobs_finished", "no process has a metric barid_jobs_finished"),
        ("event_seconds_bucket", "event_seconds", "no process has a metric barid_consumer_event_seconds"),
        ("consumer:barid_consumer_lag_events:sum >", "consumer:lag:sum >", "no process has a metric consumer:lag:sum"),
        ('outcome=\\"failed\\"', 'result=\\"failed\\"', "has no label result"),
        ("max by (consumer) (barid_dead", "max by (topic) (barid_dead", "a label topic to group by"),
        ("sum by (service, le)", "sum by (service, le", "unclosed"),
    ],
)  # fmt: skip
def test_a_fault_in_a_rule_turns_red(before: str, after: str, told: str) -> None:
    found = faults_of_rules(replaced(rules(), before, after))
    assert any(told in fault for fault in found), found


def test_a_fault_in_a_dashboard_turns_red() -> None:
    board = replaced(dashboards()["overview.json"], "barid_tracker_events_waiting", "barid_tracker_event_waiting")
    assert faults_of_dashboard("overview.json", board, known()) == [
        "overview.json, Opens and clicks that wait: no process has a metric barid_tracker_event_waiting"
    ]


def _without_runbook(found: list[dict[str, Any]], pages: dict[str, str]) -> None:
    del pages["OutboxOld"]


def _stale_runbook(found: list[dict[str, Any]], pages: dict[str, str]) -> None:
    pages["Gone"] = "# Gone\n"


def _no_severity(found: list[dict[str, Any]], pages: dict[str, str]) -> None:
    del alerts(found)[0]["labels"]["severity"]


def _another_runbook(found: list[dict[str, Any]], pages: dict[str, str]) -> None:
    alerts(found)[0]["annotations"]["runbook_url"] = RUNBOOK_URL + "OutboxOld.md"


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (_without_runbook, "docs/runbooks/OutboxOld.md does not exist"),
        (_stale_runbook, "there is no such alert"),
        (_no_severity, "neither page nor ticket"),
        (_another_runbook, "the runbook is not"),
    ],
)
def test_a_fault_in_an_alert_turns_red(plant: Callable[[Any, Any], None], told: str) -> None:
    found, pages = copy.deepcopy(rules()), runbooks()
    plant(found, pages)
    (fault,) = faults_of_alerts(found, pages)
    assert told in fault


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("# DeadLetters\n", "# Dead letters\n", "does not name its alert"),
        ("## Rollback\n", "## Afterwards\n", "nothing under Rollback"),
        ("```promql\n", "```\n", "no query"),
        ("barid_dead_letters", "barid_dead", "no process has a metric barid_dead"),
    ],
)
def test_a_fault_in_a_runbook_turns_red(before: str, after: str, told: str) -> None:
    text = runbooks()["DeadLetters"]
    assert before in text
    found = faults_of_runbook("DeadLetters", text.replace(before, after), known())
    assert any(told in fault for fault in found), found


def test_an_alert_that_nobody_has_seen_turns_red() -> None:
    left = [group for group in rule_tests() if "dead letters" not in group["name"]]
    found = faults_of_rule_tests(rules(), left, known())
    assert sorted(found) == ["DeadLetters: no test in which it does not fire", "DeadLetters: no test in which it fires"]
    misspelled = replaced(rule_tests(), "barid_dead_letters", "barid_dead_leters")
    assert any("barid_dead_leters" in fault for fault in faults_of_rule_tests(rules(), misspelled, known()))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"delivery-mailer:8000"', '"delivery-sender:8000"', "delivery mailer is not delivery-mailer:8000"),
        ('"process": "relay"', '"process": "publisher"', "is no process of an installation"),
        ('"contacts-jobs:8000"', '"contacts-jobs:8001"', "contacts-jobs:8001 is no process of contacts"),
        ('"honor_labels": true', '"honor_labels": false', "exported_service"),
        ('"analytics-scoring:8000"', '"analytics-worker:8000"', "scraped twice"),
    ],
)
def test_a_wrong_target_turns_red(before: str, after: str, told: str) -> None:
    found = faults_of_targets(replaced(load(PROMETHEUS / "prometheus.yml"), before, after))
    assert any(told in fault for fault in found), found


def test_a_process_that_nobody_scrapes_turns_red() -> None:
    config = load(PROMETHEUS / "prometheus.yml")
    (job,) = config["scrape_configs"]
    job["static_configs"] = [
        group for group in job["static_configs"] if "delivery-tracker:8000" not in group["targets"]
    ]
    assert faults_of_targets(config) == ["nobody scrapes delivery tracker"]
