"""Resolve every package's dependencies into requirements.lock: hashes, and no index address.

Each entry says in its comment which entries ask for it; `tools/subset.py` reads that.
"""

import re
import subprocess
import sys
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
    command = ["uv", "pip", "compile", "-", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-emit-index-url", "--quiet"]
    # Through standard input: a file would be named in the comments.
    return subprocess.run(
        [*command, "--output-file", ROOT / "requirements.lock"],
        input="\n".join(sorted(wanted)),
        text=True,
        check=False,
        stdout=subprocess.DEVNULL,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
