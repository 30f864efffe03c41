"""The published schemas of the custom resources that the manifests use, for the tests; nothing of it is committed.

KEDA and the Barman Cloud plugin publish their definitions in their Go modules, KEDA also the parameters of its scalers.
CloudNativePG and the Prometheus operator publish their Go types: their definitions are made by the generator that they
use themselves. Strimzi publishes its Java classes: tools/crds/strimzi reads the schemas from them. Go, and Java with
Maven, fetch all of it by version; the result is kept in var/crds.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
AREA = ROOT / "var/crds"
HERE = ROOT / "tools/crds"
# Go modules that hold what we need as files: version, and the checksum of the module.
MODULES: Mapping[str, tuple[str, str]] = {
    "github.com/kedacore/keda/v2": ("v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="),
    "github.com/cloudnative-pg/plugin-barman-cloud": ("v0.15.0", "h1:gNVytrzzYUE08wxLDrjfJqy1FPPSFkMe1OEr4s4pVI0="),
}
# Go packages with types, at the versions of tools/crds/types/go.mod.
TYPES = (
    "github.com/cloudnative-pg/api/pkg/api/v1",
    "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1",
)
GENERATOR = "sigs.k8s.io/controller-tools/cmd/controller-gen"
PROGRAMS = ("go", "java", "javac", "mvn")
_WITHIN_S = 600.0

Schema = dict[str, Any]


class Unavailable(Exception):
    """The schemas cannot be had here; the text says why."""


@dataclass(frozen=True)
class Published:
    """`kinds`: "<apiVersion>/<kind>" → a JSON Schema that refuses unknown fields. `scalers`: KEDA's, by type."""

    kinds: Mapping[str, Schema]
    scalers: Mapping[str, list[dict[str, Any]]]


def published() -> Published:
    """The schemas; fetched and made once. Raises Unavailable."""
    kept = AREA / f"{_inputs()}.json"
    if not kept.exists():
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing:
            raise Unavailable(f"there is no {missing[0]} here; the schemas need Go, and Java 17 with Maven")
        kinds: dict[str, Schema] = {}
        keda, barman = (_module(name) for name in MODULES)
        for folder in (keda / "config/crd/bases", barman / "config/crd/bases", _from_types()):
            for path in sorted(folder.glob("*.yaml")):
                kinds |= _of_definition(yaml.safe_load(path.read_text(encoding="utf-8")))
        kinds |= _strimzi()
        scalers = json.loads((keda / "schema/generated/scalers-schema.json").read_text(encoding="utf-8"))["scalers"]
        made = {"kinds": kinds, "scalers": {one["type"]: one["parameters"] for one in scalers}}
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(made), encoding="utf-8")
        partial.replace(kept)
    return Published(**json.loads(kept.read_text(encoding="utf-8")))


def _inputs() -> str:
    digest = hashlib.sha256()
    for path in sorted([Path(__file__), *(one for one in HERE.rglob("*") if one.is_file())]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _module(name: str) -> Path:
    version, checksum = MODULES[name]
    AREA.mkdir(parents=True, exist_ok=True)
    told = json.loads(_run(["go", "mod", "download", "-json", f"{name}@{version}"], AREA))
    if told["Sum"] != checksum:
        raise Unavailable(f"{name}@{version} has the checksum {told['Sum']}, not {checksum}")
    return Path(told["Dir"])


def _from_types() -> Path:
    out = AREA / "types"
    paths = ";".join(TYPES)
    _run(["go", "run", GENERATOR, "crd", f"paths={paths}", f"output:crd:dir={out}"], HERE / "types")
    return out


def _strimzi() -> dict[str, Schema]:
    libs, classes, out = AREA / "strimzi-libs", AREA / "strimzi-classes", AREA / "strimzi.json"
    shutil.rmtree(libs, ignore_errors=True)
    copy = ["mvn", "-q", "-B", "-f", str(HERE / "strimzi/pom.xml"), "dependency:copy-dependencies"]
    _run([*copy, f"-DoutputDirectory={libs}"], AREA)
    sources = [str(path) for path in sorted((HERE / "strimzi").rglob("*.java"))]
    _run(["javac", "-d", str(classes), "-cp", f"{libs}/*", *sources], AREA)
    _run(["java", "-cp", f"{classes}:{libs}/*", "Schemas", str(out)], AREA)
    specs = json.loads(out.read_text(encoding="utf-8"))
    return {f"kafka.strimzi.io/v1/{kind}": _whole(spec) for kind, spec in specs.items()}


def _of_definition(definition: dict[str, Any]) -> dict[str, Schema]:
    spec = definition["spec"]
    return {
        f"{spec['group']}/{version['name']}/{spec['names']['kind']}": _whole(
            _strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
        )
        for version in spec["versions"]
        if "spec" in version["schema"]["openAPIV3Schema"]["properties"]
    }


def _whole(spec: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}, "spec": spec},
        "additionalProperties": False,
    }


def _strict(schema: Any) -> Any:
    """A Kubernetes structural schema as JSON Schema, in which a field that is not declared is an error."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: value for name, value in schema.items() if not name.startswith("x-") and name != "description"}
    for name in ("properties", "patternProperties"):
        if name in made:
            made[name] = {key: _strict(value) for key, value in made[name].items()}
    for name in ("items", "additionalProperties", "not", "allOf", "anyOf", "oneOf"):
        if name in made:
            made[name] = _strict(made[name])
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if made.pop("nullable", False) and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    if (
        made.get("type") == "object"
        and "properties" in made
        and "additionalProperties" not in made
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        made["additionalProperties"] = False
    return made


def _run(command: list[str], where: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "GOFLAGS"} | {"GOWORK": "off"}
    try:
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} {command[1]} did not end in {_WITHIN_S:.0f} s") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:4])} failed: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def main() -> int:
    """Fetch and make them; say what there is."""
    try:
        found = published()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(found.kinds)} kinds, {len(found.scalers)} scalers in {AREA.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
