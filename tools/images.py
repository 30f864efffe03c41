"""`make images`: build every image, print their sizes, and fail when one is too big.

With podman, the stand-ins that `make compose-smoke` runs on are built too.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import yaml

from tools import engine as engines
from tools.engine import ROOT, Engine, NoEngine
from tools.kafka import NoBroker, libraries

LARGEST_MB = 250
BASE = "docker.io/library/python:3.13-slim"
STAND_INS = ROOT / "deploy" / "images"
LABEL = "dev.barid.stand-in"
FROM_OURS = {"otel-collector"}  # stand-ins made of barid/cli
# Image → its Dockerfile.
IMAGES = {
    **{f"barid/{path.parent.name}": path for path in sorted(ROOT.glob("services/*/Dockerfile"))},
    "barid/cli": ROOT / "libs/barid/Dockerfile",
}
# Run in an image: what must not be in it, and is.
_UNWANTED = """
import importlib.util, os, shutil
programs = "ar as cc gcc g++ ld make strip pip pip3 apt apt-get dpkg perl curl git".split()
modules = "pip ensurepip setuptools hatchling pytest hypothesis common.testing sqlalchemy.testing".split()
found = [name for name in programs if shutil.which(name)]
found += [name for name in modules if importlib.util.find_spec(name)]
found += ["the user root"] if os.getuid() != 10001 else []
found += ["a writable root"] if os.access("/app", os.W_OK) else []
print(", ".join(found))
"""
_SUITE, _PACKAGES = "trixie", "python3,python3-venv,ca-certificates"
# What the slim images leave out too, and without a sync for each file. The folders of manuals stay: some packages
# expect them at their installation.
_DPKG = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*/*
"""
# debootstrap itself unpacks what is required, and looks at none of that.
_TRIM = """\
rm -rf var/cache/apt/* var/lib/apt/lists/* usr/share/doc/* usr/share/info/* usr/share/locale/* tmp/*
find usr/share/man -type f -delete -o -type l -delete
find . -name __pycache__ -prune -exec rm -rf {} +
"""


def version() -> str:
    """The tag of the images."""
    return os.environ.get("BARID_VERSION") or "dev"


@contextmanager
def pip_secrets() -> Iterator[list[str]]:
    """Options that lend this machine's pip configuration to a build: none of it stays in the image."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found = dict(re.findall(r"^[\w:-]+?\.([\w-]+)='(.*)'$", told, re.MULTILINE))
    found.pop("config-file", None)  # where it is written here
    with tempfile.TemporaryDirectory() as folder:
        options = []
        certificates = Path(found.pop("cert", ""))
        if certificates.is_file():
            found["cert"] = "/run/certificates.pem"
            options += ["--secret", f"id=certificates,src={certificates}"]
        # A folder of this machine is not there in a build.
        links = [link for link in found.pop("find-links", "").split() if "://" in link]
        if links:
            found["find-links"] = " ".join(links)
        config = Path(folder) / "pip.conf"
        config.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in found.items()))
        yield [*options, "--secret", f"id=pip,src={config}"]


def revision() -> str:
    """The commit, for the images' labels."""
    made = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    return made.stdout.strip() or "unknown"


def build(engine: Engine, image: str, dockerfile: Path, context: Path, *more: str) -> None:
    """Build one image. Raises subprocess.CalledProcessError."""
    options = ["--network", "host", "--tag", image, "--file", str(dockerfile), *more]
    if engine.name == "podman":
        options += ["--layers", "--pull=never"]
    engine.run("build", *options, context)


def size_mb(engine: Engine, image: str) -> float:
    """What the image takes, in MB."""
    return int(engine.run("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def unwanted(engine: Engine, image: str) -> str:
    """What the image holds that it must not, in words; nothing, if all is well."""
    locked = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"]
    return engine.run("run", "--rm", *locked, "--entrypoint", "python", image, "-c", _UNWANTED).strip()


def base(engine: Engine) -> None:
    """The stand-in of the Python image: Debian with Python 3.13, made anew when its recipe changes."""
    recipe = hashlib.sha256(f"{_SUITE} {_PACKAGES} {_DPKG} {_TRIM}".encode()).hexdigest()[:16]
    if label(engine, BASE) == recipe:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        mirror = _mirror()
        (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(_DPKG)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, root, *mirror],
            capture_output=True, text=True, timeout=600, check=True,
        )  # fmt: skip
        subprocess.run(["sh", "-c", _TRIM], cwd=root, check=True)
        change = f"LABEL {LABEL}={recipe}"
        packing = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(
            engine.command("import", "--change", change, "--change", "ENV LANG=C.UTF-8", "-", BASE),
            env={**os.environ, **engine.environment}, stdin=packing.stdout, capture_output=True, check=True,
        )  # fmt: skip
        if packing.wait():
            raise subprocess.CalledProcessError(packing.returncode, "tar")


def _mirror() -> list[str]:
    """Where this machine's apt gets Debian from; debootstrap's own choice when that cannot be read."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line for line in told.stdout.split() if "security" not in line]
    return found[:1]


def label(engine: Engine, image: str) -> str | None:
    """The label that marks a stand-in, None without the image or the label."""
    made = subprocess.run(
        engine.command("image", "inspect", image), env={**os.environ, **engine.environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        return None
    found: str | None = ((json.loads(made.stdout)[0].get("Config") or {}).get("Labels") or {}).get(LABEL)
    return found


def stand_ins(engine: Engine, names: Collection[str]) -> None:
    """Images that compose would pull, built here, under the names that docker-compose.yml uses."""
    step, services, jars = time.monotonic(), third_parties(), libraries()
    for name in names:
        image = services[name]
        full = f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"
        more = ["--target", name, "--build-arg", f"VERSION={version()}", "--build-context", f"jars={jars}"]
        build(engine, full, STAND_INS / "Dockerfile", STAND_INS, *more, "--label", f"{LABEL}={name}")
    timed(f"stand-ins: {', '.join(names)}", step)


def third_parties() -> dict[str, str]:
    """Service → image, of those in docker-compose.yml that are not built from this tree."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {name: one["image"] for name, one in services.items() if not one["image"].startswith("barid/")}


def build_all(engine: Engine) -> None:
    """Every image of ours, and the stand-ins beside them. Raises CalledProcessError, NoBroker."""
    arguments = ["--build-arg", f"VERSION={version()}", "--build-arg", f"REVISION={revision()}"]
    if engine.stand_ins:
        step = time.monotonic()
        base(engine)
        timed("stand-in: python:3.13-slim", step)
    with ThreadPoolExecutor(1) as aside, pip_secrets() as secrets:
        from_debian = sorted(third_parties().keys() - FROM_OURS)
        beside = aside.submit(stand_ins, engine, from_debian) if engine.stand_ins else None
        for image, dockerfile in IMAGES.items():
            step = time.monotonic()
            build(engine, f"{image}:{version()}", dockerfile, ROOT, *secrets, *arguments)
            timed(image, step)
        if beside is not None:
            beside.result()
            stand_ins(engine, sorted(FROM_OURS))


def timed(name: str, step: float) -> None:
    """Say what a step took."""
    print(f"  {name:<70} {time.monotonic() - step:6.1f} s", flush=True)


def main() -> int:
    """The command."""
    try:
        engine = engines.find()
        print(f"building with {engine.name}", flush=True)
        build_all(engine)
    except NoEngine as error:
        print(f"make images: {error}", file=sys.stderr)
        return 1
    except NoBroker as error:
        print(f"make images: the stand-in for Kafka: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print((error.stdout or "")[-3000:], (error.stderr or "")[-6000:], sep="\n", file=sys.stderr)
        print(f"make images: {' '.join(map(str, error.cmd))[:300]} failed", file=sys.stderr)
        return 1
    wrong = False
    print(f"\n{'image':<20} {'MB':>6}")
    for image in IMAGES:
        size, found = size_mb(engine, f"{image}:{version()}"), unwanted(engine, f"{image}:{version()}")
        told = [f"over {LARGEST_MB}"] if size >= LARGEST_MB else []
        told += [f"holds {found}"] if found else []
        print(f"{image:<20} {size:>6.0f}   {'; '.join(told)}".rstrip())
        wrong = wrong or bool(told)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
