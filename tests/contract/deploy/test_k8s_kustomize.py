"""What Kustomize does without a word when it is told something wrong, and what a new release changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.contract.deploy.k8s.documents import OVERLAYS, documents, kustomize, name_of, parsed, tree
from tests.contract.deploy.k8s.settings import CHECKS as SETTINGS_CHECKS

__all__ = ["tree"]
MARK = "barid.dev/patched-by-"


def without_target(tree: Path) -> Iterator[str]:
    """Patches of the tree that change nothing in any overlay. Each is replaced by one that leaves a mark."""
    marks: dict[str, str] = {}
    for path in sorted(tree.rglob("kustomization.yaml")):
        content = yaml.safe_load(path.read_text())
        for patch in content.get("patches", []):
            if "target" not in patch:
                continue  # by its own name: Kustomize itself says that there is none
            mark = f"{MARK}{len(marks)}"
            marks[mark] = f"{path.parent.relative_to(tree)}: {patch['target']}"
            metadata = {"name": "any", "annotations": {mark: "yes"}}
            patch["patch"] = yaml.safe_dump({"apiVersion": "v1", "kind": "Any", "metadata": metadata})
            patch.pop("path", None)
        path.write_text(yaml.safe_dump(content))
    assert marks
    seen = "".join(kustomize(tree / "overlays" / overlay) for overlay in OVERLAYS)
    yield from (where for mark, where in marks.items() if f"{mark}:" not in seen)


def test_every_patch_changes_something(tree):
    assert list(without_target(tree)) == []


@pytest.mark.parametrize("where", ["base", "components/strimzi", "overlays/prod"])
def test_a_patch_without_a_target_is_found(tree, where):
    path = tree / where / "kustomization.yaml"
    content = yaml.safe_load(path.read_text())
    target = {"kind": "Deployment", "name": "contacts-apis"}
    planted = {"target": target, "patch": '[{"op": "remove", "path": "/spec"}]'}
    content["patches"].append(planted)
    path.write_text(yaml.safe_dump(content))
    assert kustomize(tree / "overlays/prod"), "Kustomize says nothing"
    assert list(without_target(tree)) == [f"{where}: {target}"]


def test_every_file_of_the_tree_is_used(tree):
    """A manifest that no kustomization names is not installed, and looks as if it were."""
    for path in sorted(tree.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            assert f"{path.name}" in (path.parent / "kustomization.yaml").read_text(), path.relative_to(tree)


def test_a_new_release_has_new_jobs_and_new_images(tree):
    path = tree / "overlays/prod/release/kustomization.yaml"
    path.write_text(path.read_text().replace("version=0.1.0", "version=0.2.0"))
    before, after = documents("prod"), documents("prod", tree)
    assert [fault for check in SETTINGS_CHECKS for fault in check(after)] == []
    assert {name_of(job) for job in before.jobs()} == {name_of(job) for job in after.jobs()}
    real = [{job["metadata"]["name"] for job in one.jobs()} for one in (before, after)]
    assert len(real[0]) == 5
    assert not real[0] & real[1]


def test_the_same_release_has_the_same_jobs(tree):
    assert documents("prod", tree).all == documents("prod").all


def test_a_changed_setting_starts_new_pods_and_no_job_is_changed(tree):
    """A Job that is there cannot be changed: with another template under the same name, no deployment would pass."""
    path = tree / "overlays/prod/kustomization.yaml"
    path.write_text(
        path.read_text().replace("- BARID_PUBLIC_URL=", "- BARID_LOG_LEVEL=DEBUG\n      - BARID_PUBLIC_URL=")
    )
    before, after = documents("prod"), documents("prod", tree)
    assert before.jobs() == after.jobs()
    assert all(one not in before.processes() for one in after.processes())


@pytest.mark.parametrize("setting", ["BARID_KAFKA_BOOTSTRAP=elsewhere:9093", "BARID_KAFKA_REPLICATION=5"])
def test_another_setting_of_a_job_gives_it_another_name(tree, setting):
    path = tree / "base/kustomization.yaml"
    text = path.read_text()
    line = next(one for one in text.splitlines() if setting.partition("=")[0] in one)
    path.write_text(text.replace(line, f"      - {setting}"))
    before, after = documents("prod"), documents("prod", tree)
    (old,) = [job for job in before.jobs() if name_of(job) == "topics-apply"]
    (new,) = [job for job in after.jobs() if name_of(job) == "topics-apply"]
    assert old["metadata"]["name"] != new["metadata"]["name"]


def test_a_render_is_the_same_twice(tree):
    assert parsed(kustomize(tree / "overlays/dev")) == documents("dev").all
