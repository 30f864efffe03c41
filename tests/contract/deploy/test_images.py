"""What a build of the images is lent, and the engine it runs on."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.contract.services import ROOT
from tools import engine, images


def lent(options: list[str]) -> dict[str, str]:
    """Secret → its file's text."""
    found = [re.fullmatch(r"id=(\w+),src=(.+)", option) for option in options if option != "--secret"]
    return {one[1]: Path(one[2]).read_text() for one in found if one}


def test_a_build_is_lent_the_machines_pip_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_text("a certificate")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificates))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path} https://wheels.example/")
    with images.pip_secrets() as options:
        secrets = lent(options)
        files = [option.partition("src=")[2] for option in options if "id=pip" in option]
    assert secrets["certificates"] == "a certificate"
    assert secrets["pip"].splitlines()[0] == "[global]"
    assert set(secrets["pip"].splitlines()[1:]) == {
        "index-url = https://index.example/simple",
        "cert = /run/certificates.pem",
        "find-links = https://wheels.example/",  # a folder of this machine is not there in a build
    }
    assert not Path(files[0]).exists(), "it is gone when the build is over"


def test_the_context_of_a_build_holds_no_more_than_it_needs() -> None:
    wanted = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in wanted
    assert {line for line in wanted if line.startswith("!")} == {
        "!docs/openapi.json", "!libs", "!requirements.lock", "!services", "!tools/subset.py",
    }  # fmt: skip


def test_without_an_engine_and_without_root_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda _: None)
    monkeypatch.setattr(engine.os, "geteuid", lambda: 1000)
    with pytest.raises(engine.NoEngine, match="start Docker"):
        engine.find()


def test_without_apt_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda _: None)
    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    with pytest.raises(engine.NoEngine, match=r"podman, buildah, runc, debootstrap.* are missing"):
        engine.find()


def test_every_stand_in_has_a_target() -> None:
    targets = set(re.findall(r"^FROM \S+ AS ([\w-]+)$", (images.STAND_INS / "Dockerfile").read_text(), re.MULTILINE))
    assert targets - {"debian"} == {"postgres", "kafka", "proxy", "prometheus", "mailpit", "otel-collector"}


def test_start_scripts_are_scripts() -> None:
    for script in (*ROOT.glob("deploy/*/*.sh"),):
        made = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
        assert (made.returncode, made.stderr) == (0, ""), script
