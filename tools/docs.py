"""Generates what is generated: the contracts' JSON Schemas, docs/asyncapi.yaml, openapi.json
and metrics.md.

python tools/docs.py                    write them
python tools/docs.py --check            exit 1 if one is stale, or a service has no application
python tools/docs.py --allow-missing    leave services out that have no application yet
"""

import argparse
import ast
import base64
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
for _source in ("libs/common/src", "libs/content/src", "libs/barid/src"):
    sys.path.append(str(ROOT / _source))
SERVICES = ("contacts", "campaigns", "delivery", "analytics")
for _service in SERVICES:
    sys.path.append(str(ROOT / "services" / _service / "src"))

from common.contracts.topics import TOPICS, Topic  # noqa: E402
from common.settings import load  # noqa: E402
from common.web.openapi import merge  # noqa: E402
from common.web.tokens import new_signing_key  # noqa: E402
from pydantic.json_schema import models_json_schema  # noqa: E402

SCHEMAS = ROOT / "libs/common/src/common/contracts/schemas"
SCHEMA_URI = "https://barid.dev/schemas/"
_KEY = base64.b64encode(bytes(32)).decode()


def schema(topic: Topic) -> dict[str, Any]:
    """The JSON Schema of a topic's data."""
    found = topic.contract.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMA_URI}{topic.type}.json",
        **found,
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document: a channel per topic, an operation per producer and consumer group."""
    _, found = models_json_schema(
        [(topic.contract, "validation") for topic in TOPICS], ref_template="#/components/schemas/{model}"
    )
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for topic in TOPICS:
        name = topic.type
        messages[name] = {
            "name": name,
            "title": (topic.contract.__doc__ or name).strip().split("\n")[0],
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/Envelope"},
            "payload": {"$ref": f"#/components/schemas/{topic.contract.__name__}"},
            "bindings": {"kafka": {"key": {"type": "string", "description": f"`{topic.key}` of the data"}}},
        }
        channels[name] = {
            "address": topic.name,
            "description": f"Lane {topic.lane}. Personal data: {'yes' if topic.personal else 'no'}.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {
                "kafka": {
                    "topic": topic.name,
                    "partitions": topic.partitions,
                    "topicConfiguration": {"retention.ms": topic.retention_days * 86_400_000},
                }
            },
        }
        ends = [("send", owner, owner) for owner in topic.owners]
        ends += [("receive", group, group.split(".")[0]) for group in topic.consumers]
        for action, who, service in ends:
            operations[f"{who}.{action}.{name}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "tags": [{"name": service}],
                **(
                    {"bindings": {"kafka": {"groupId": {"type": "string", "const": who}}}}
                    if action == "receive"
                    else {}
                ),
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Barid events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0, Kafka binding, binary mode. There is no order across topics; events may"
            " come twice and late, and handlers commute. Additive change only; a break is a V2 in parallel.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"Envelope": _envelope(), **found["$defs"]}},
    }


def _envelope() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_workspaceid"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "format": "uuid"},
            "ce_type": text,
            "ce_source": text,
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_subject": {**text, "description": "the key"},
            "ce_workspaceid": {"type": "string", "format": "uuid"},
            "content-type": {"const": "application/json"},
            "traceparent": text,
        },
    }


def metrics() -> str:
    """The page of all metrics, read from where they are declared."""
    rows = []
    for path in sorted([*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not any(isinstance(node, ast.ImportFrom) and node.module == "prometheus_client" for node in ast.walk(tree)):
            continue
        for node in ast.walk(tree):
            kind = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Call) and kind in {"Counter", "Gauge", "Histogram", "Summary"}:
                name, text, *rest = (ast.literal_eval(argument) for argument in node.args)
                labels = ", ".join(f"`{label}`" for label in (rest[0] if rest else ())) or "–"
                module = path.relative_to(ROOT).as_posix().split("/src/")[1].removesuffix(".py").replace("/", ".")
                rows.append(f"| `{name}` | {kind.lower()} | {labels} | {text} | `{module}` |")
    head = "# Metrics\n\nEvery Prometheus metric of every process, at `/metrics`. Generated by `make docs`.\n\n"
    table = "| name | kind | labels | meaning | declared in |\n|---|---|---|---|---|\n"
    return head + table + "\n".join(sorted(rows)) + "\n"


def app(service: str) -> Any:
    """The service's application, with settings of no real place. None if the service has none yet."""
    private, public = new_signing_key()
    prefix = service.upper()
    for name, value in {
        f"{prefix}_DATABASE_URL": "postgresql://docs@127.0.0.1:1/docs",
        f"{prefix}_API_DATABASE_URL": "postgresql://docs@127.0.0.1:1/docs",
        f"{prefix}_WORKER_DATABASE_URL": "postgresql://docs@127.0.0.1:1/docs",
        "BUS_DATABASE_URL": "postgresql://docs@127.0.0.1:1/docs",
        "BARID_TOKEN_KEYS": public,
        "BARID_SIGNING_KEY": private,
        "BARID_LINK_KEYS": f"docs:{_KEY}",
        "BARID_PEPPER": _KEY,
    }.items():
        os.environ.setdefault(name, value)
    try:
        main = importlib.import_module(f"{service}.main")
        settings = importlib.import_module(f"{service}.settings")
    except ModuleNotFoundError as error:
        if error.name in {service, f"{service}.main"}:
            return None
        raise
    return main.create_app(load(settings.Settings))


def generate(missing: list[str]) -> dict[Path, str]:
    """Path → text of every generated file. Services without an application are added to `missing`."""
    files = {SCHEMAS / f"{topic.type}.json": _json(schema(topic)) for topic in TOPICS}
    text = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    files[ROOT / "docs/asyncapi.yaml"] = "# Generated by `make docs`.\n" + text
    files[ROOT / "docs/metrics.md"] = metrics()
    documents = []
    for service in SERVICES:
        found = app(service)
        if found is None:
            missing.append(service)
        else:
            documents.append(found.openapi())
    files[ROOT / "docs/openapi.json"] = _json(merge(documents))
    return files


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--allow-missing", action="store_true")
    options = parser.parse_args()
    missing: list[str] = []
    files = generate(missing)
    gone = [path for path in SCHEMAS.glob("*.json") if path not in files]
    stale = [p for p, text in files.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if options.check:
        for path in stale + gone:
            print(f"stale: {path.relative_to(ROOT)} (run `make docs`)", file=sys.stderr)
    else:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
        for path in gone:
            print(f"{path.relative_to(ROOT)} belongs to no topic; delete it by hand if that is meant", file=sys.stderr)
    for service in missing:
        print(f"{service} has no application: left out of docs/openapi.json", file=sys.stderr)
    failed = (options.check and bool(stale or gone)) or (bool(missing) and not options.allow_missing)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
