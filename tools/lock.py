"""Resolve every package's dependencies into requirements.lock: hashes, and no index address."""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN = {"barid-common", "barid-content", "barid-cli", "contacts", "campaigns", "delivery", "analytics"}


def main() -> int:
    """Collect the requirements, let uv resolve them for every platform. Needs `uv` on the path."""
    wanted: set[str] = set()
    for project in sorted([*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]):
        declared = tomllib.loads(project.read_text())["project"]
        wanted.update(declared["dependencies"])
        for extra in declared.get("optional-dependencies", {}).values():
            wanted.update(extra)
    wanted.update(filter(None, (ROOT / "requirements-dev.in").read_text().splitlines()))
    wanted = {line for line in wanted if re.split(r"[\[<>=]", line)[0] not in OWN}
    with tempfile.NamedTemporaryFile("w", suffix=".in") as requirements:
        requirements.write("\n".join(sorted(wanted)))
        requirements.flush()
        command = ["uv", "pip", "compile", requirements.name, "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
        return subprocess.call([*command, "--output-file", str(ROOT / "requirements.lock")])


if __name__ == "__main__":
    sys.exit(main())
