"""Print the part of requirements.lock that some packages need, hashes and all: what an image installs.

`python tools/subset.py contacts` for a package of the project, `python tools/subset.py hatchling` for an entry of the
lock. Needs nothing but Python, for it runs in the build of the images.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_NAME = re.compile(r"[A-Za-z0-9._-]+")


class NotLocked(Exception):
    """Something is asked for that the lock does not hold."""


def canonical(requirement: str) -> str:
    """The name in a requirement, as PEP 503 writes it."""
    found = _NAME.match(requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def entries(lock: str) -> dict[str, str]:
    """Name → its lines in the lock, with the comment that says who asks for it."""
    blocks: list[list[str]] = []
    for line in lock.splitlines():
        if line and not line.startswith((" ", "#")):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    return {canonical(block[0]): "\n".join(block) + "\n" for block in blocks}


def asked_by(entry: str) -> Iterator[str]:
    """Who asks for an entry: the names after `# via`."""
    for line in entry.splitlines():
        comment = line.strip().removeprefix("# via").lstrip("# ")
        if line.lstrip().startswith("#") and comment:
            yield canonical(comment)


def dependencies(root: Path) -> dict[str, list[str]]:
    """Package of the project → the names it declares."""
    found: dict[str, list[str]] = {}
    for path in [*root.glob("libs/*/pyproject.toml"), *root.glob("services/*/pyproject.toml")]:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found[project["name"]] = [canonical(line) for line in project["dependencies"]]
    return found


def subset(names: Iterable[str], root: Path = ROOT) -> str:
    """The lines for everything that `names` need. Raises NotLocked."""
    locked = entries((root / "requirements.lock").read_text(encoding="utf-8"))
    own = dependencies(root)
    needs: dict[str, list[str]] = {name: [] for name in locked}
    for name, entry in locked.items():
        for parent in asked_by(entry):
            needs[parent].append(name)
    wanted: set[str] = set()
    left = [canonical(name) for name in names]
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            if name not in own and name not in needs:
                raise NotLocked(f"{name} is neither a package of the project nor in requirements.lock (`make lock`)")
            left += own.get(name) or needs.get(name, [])
    return "".join(entry for name, entry in locked.items() if name in wanted)


def main(names: list[str]) -> int:
    """The command."""
    try:
        print(subset(names), end="")
    except NotLocked as error:
        print(f"subset: {error}", file=sys.stderr)
        return 1
    return 0 if names else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
