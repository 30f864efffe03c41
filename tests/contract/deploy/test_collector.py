"""deploy/otel/collector.yaml: what it takes in, leaves out, keeps and hands on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = Path(__file__).resolve().parents[3] / "deploy/otel/collector.yaml"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return found


def pipeline(config: dict[str, Any]) -> dict[str, Any]:
    (only,) = config["service"]["pipelines"].values()
    return only


def test_every_component_that_is_used_is_configured_and_the_other_way_round(config: dict[str, Any]) -> None:
    used = pipeline(config)
    assert list(config["receivers"]) == used["receivers"] == ["otlp"]
    assert sorted(config["processors"]) == sorted(used["processors"])
    assert sorted(config["extensions"]) == sorted(config["service"]["extensions"])
    chosen = re.fullmatch(r"\$\{env:BARID_TRACES_EXPORTER:-(\w+)\}", *used["exporters"])
    assert chosen is not None
    assert chosen.group(1) in config["exporters"]


def test_memory_is_guarded_first_people_are_left_out_before_anything_is_kept_and_batches_come_last(
    config: dict[str, Any],
) -> None:
    order = [name.partition("/")[0] for name in pipeline(config)["processors"]]
    assert order == ["memory_limiter", "attributes", "redaction", "tail_sampling", "batch"]


def test_all_that_failed_or_was_slow_is_kept(config: dict[str, Any]) -> None:
    policies = {policy["type"]: policy for policy in config["processors"]["tail_sampling"]["policies"]}
    assert policies["status_code"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["latency"]["latency"]["threshold_ms"] <= 5000
    assert policies["numeric_attribute"]["numeric_attribute"] == {
        "key": "http.response.status_code", "min_value": 500, "max_value": 599,
    }  # fmt: skip
    assert 0 < policies["probabilistic"]["probabilistic"]["sampling_percentage"] < 100


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Key (address)=(sara@example.com) already exists", "Key (address)=(****) already exists"),
        ("to علی@example.ir", "to ****"),
        ("GET /c/" + "Ab-_9" * 20, "GET ****"),
        ("GET /v1/contacts/{contact_id}", "GET /v1/contacts/{contact_id}"),
        ("process contacts.main", "process contacts.main"),
    ],
)
def test_addresses_and_link_tokens_do_not_leave(config: dict[str, Any], text: str, left: str) -> None:
    for pattern in config["processors"]["redaction/personal"]["blocked_values"]:
        text = re.sub(pattern, "****", text)
    assert text == left


def test_what_is_kept_survives_a_backend_that_is_away(config: dict[str, Any]) -> None:
    exporter = config["exporters"]["otlp"]
    assert exporter["retry_on_failure"]["enabled"]
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["storage"] in config["service"]["extensions"]


def test_every_variable_it_reads_has_a_default_and_is_said(config: dict[str, Any]) -> None:
    text = CONFIG.read_text(encoding="utf-8")
    read = re.findall(r"\$\{env:(\w+)(:-[^}]*)?\}", text)
    assert read
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert [name for name, default in read if not default or name not in comments] == []
